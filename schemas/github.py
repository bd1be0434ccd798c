"""Facts that GitHub signed: what a webhook says, made small enough for the bus.

Source: docs.github.com, "Webhook events and payloads": `push`, `package`, `registry_package`.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import AwareDatetime, Field, StringConstraints

from schemas.events import Event

ZERO = "0" * 40
"""What stands for a commit that does not exist: `before` of a new ref, `after` of a deleted one."""
MOST_COMMITS = 2048
"""Commits that GitHub names in one push; a push with as many, or more, is incomplete."""
MOST_FILES = 3000
"""Files that GitHub names of one commit; a commit with as many, or more, is incomplete."""
MOST_PATHS = 10_000
"""Paths of one kind that an event takes; of a push with more, none is trusted."""

Sha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}(?:[0-9a-f]{24})?$")]
RepositoryName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}$")]
"""OWNER/NAME."""
Ref = Annotated[str, StringConstraints(pattern=r"^refs/[^\x00-\x20\x7f]{1,1000}$")]
Login = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._\[\]-]{1,100}$")]
Path = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Number = Annotated[int, Field(gt=0)]
_AFTER = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
_PATHS = [["onboarding/acme/tenant.yaml"]]


class GithubPushed(Event):
    """Commits were pushed to a ref, or a ref was created, moved or deleted."""

    event_type: ClassVar[str] = "github.pushed"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("repository_id", "ref", "before", "after")
    subject_field: ClassVar[str] = "repository"
    door: ClassVar[Literal["events", "webhook", "feed"]] = "webhook"

    repository_id: Annotated[Number, Field(examples=[186853002])]
    """The repository's number, which stays when it is renamed or given away."""
    repository: Annotated[RepositoryName, Field(examples=["acme/onboarding"])]
    """OWNER/NAME, as it was called then."""
    owner_id: Annotated[Number | None, Field(examples=[21031067])] = None
    """The owner's number."""
    ref: Annotated[Ref, Field(examples=["refs/heads/main"])]
    """The full name of the branch or tag."""
    before: Annotated[Sha, Field(examples=["2b1c0f4be1c0f2b1c0f4be1c0f2b1c0f4be1c0f2"])]
    """The commit that the ref named before; zeros when there was none."""
    after: Annotated[Sha, Field(examples=[_AFTER])]
    """The commit, or annotated tag, that the ref names now; zeros when it was deleted."""
    base_ref: Annotated[Ref | None, Field(examples=["refs/heads/main"])] = None
    """The ref that a new one was made from, if GitHub says so."""
    created: Annotated[bool, Field(examples=[False])] = False
    """Whether the ref is new."""
    deleted: Annotated[bool, Field(examples=[False])] = False
    """Whether the ref is gone."""
    forced: Annotated[bool, Field(examples=[False])] = False
    """Whether the ref left commits behind."""
    pushed_at: Annotated[AwareDatetime | None, Field(examples=["2026-11-02T09:30:00Z"])] = None
    """When GitHub took the push."""
    commits: Annotated[int, Field(ge=0, examples=[1])] = 0
    """How many commits the payload names."""
    added: Annotated[tuple[Path, ...], Field(strict=False, max_length=MOST_PATHS, examples=_PATHS)] = ()
    """Paths that the push added, over all its commits (`net_change`)."""
    modified: Annotated[tuple[Path, ...], Field(strict=False, max_length=MOST_PATHS, examples=[[]])] = ()
    """Paths that the push changed."""
    removed: Annotated[tuple[Path, ...], Field(strict=False, max_length=MOST_PATHS, examples=[[]])] = ()
    """Paths that a commit of the push removed, though another one may have put them back."""
    complete: Annotated[bool, Field(examples=[True])]
    """Whether the three lists hold all that the push changed. False where GitHub's caps were reached, lists were
    missing, or they were cut for size: then the trees are compared."""
    sender: Annotated[Login | None, Field(examples=["octocat"])] = None
    """Login of whoever pushed."""
    installation_id: Annotated[Number | None, Field(examples=[375929])] = None
    """The installation of the GitHub App that the delivery is for."""
    delivery: Annotated[str | None, StringConstraints(max_length=64), Field(examples=["72d3162e-cc78-11e3-81ab"])] = (
        None
    )
    """GitHub's delivery id. It is not signed: for tracing only, never a key."""


class GithubPackagePublished(Event):
    """A version of a package was published to, or updated in, GitHub's container registry."""

    event_type: ClassVar[str] = "github.package_published"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("host", "owner", "name", "tag", "digest")
    subject_field: ClassVar[str] = "name"
    door: ClassVar[Literal["events", "webhook", "feed"]] = "webhook"

    host: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,253}(?::[0-9]{1,5})?$"), Field(examples=["ghcr.io"])]
    """The registry's HOST[:PORT]."""
    owner: Annotated[Login, Field(examples=["acme"])]
    """Login of the user or organisation that owns the package."""
    owner_id: Annotated[Number, Field(examples=[21031067])]
    """The owner's number."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=255), Field(examples=["shop"])]
    """The package's name below its owner; it may hold slashes."""
    kind: Annotated[str, StringConstraints(min_length=1, max_length=64), Field(examples=["container"])]
    """GitHub's `package_type`, in lower case."""
    tag: Annotated[str | None, StringConstraints(max_length=128), Field(examples=["1.4.2"])] = None
    """The tag under which it was published, if any."""
    digest: Annotated[
        str | None, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$"), Field(examples=["sha256:" + "a" * 64])
    ] = None
    """The manifest digest, if the payload says it."""
    repository_id: Annotated[Number | None, Field(examples=[186853002])] = None
    """The repository that the package is linked to, if any."""
    published_at: Annotated[AwareDatetime | None, Field(examples=["2026-11-02T09:30:00Z"])] = None
    """When GitHub stored it."""
    sender: Annotated[Login | None, Field(examples=["octocat"])] = None
    """Login of whoever published it."""
    installation_id: Annotated[Number | None, Field(examples=[375929])] = None
    """The installation of the GitHub App that the delivery is for."""
    delivery: Annotated[str | None, StringConstraints(max_length=64), Field(examples=["72d3162e-cc78-11e3-81ab"])] = (
        None
    )
    """GitHub's delivery id: for tracing only, never a key."""


class NetChange(NamedTuple):
    """What a run of commits changed, each list sorted and no path in two of them."""

    added: tuple[str, ...]
    modified: tuple[str, ...]
    removed: tuple[str, ...]


def net_change(commits: Iterable[tuple[Iterable[str], Iterable[str], Iterable[str]]]) -> NetChange:
    """Merge the (added, modified, removed) lists of commits, oldest first, into what they changed together.

    What any commit removed counts as removed, which is looked up behind the bus and never believed: commits that are
    merged stand beside each other, and nothing says in which order they count. What any other added is added.
    """
    words: dict[str, set[str]] = {"added": set(), "modified": set(), "removed": set()}
    for lists in commits:
        for found, paths in zip(words.values(), lists, strict=True):
            found.update(paths)
    removed = words["removed"]
    added = words["added"] - removed
    modified = words["modified"] - removed - added
    return NetChange(tuple(sorted(added)), tuple(sorted(modified)), tuple(sorted(removed)))
