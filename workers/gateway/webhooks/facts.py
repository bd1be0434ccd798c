"""From GitHub's payloads to the facts that the bus carries: pure functions over a signed body."""

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from schemas.events import Event
from schemas.explanations import explain
from schemas.github import MOST_COMMITS, MOST_FILES, MOST_PATHS, GithubPackagePublished, GithubPushed, net_change
from workers.gateway.problems import Problem, shown
from workers.gateway.webhooks.payloads import (
    Account,
    Commit,
    Digested,
    Installation,
    Package,
    PackageAction,
    Ping,
    Push,
    RegistryPackageAction,
    Version,
    decoded,
)

GHCR = "ghcr.io"
_PUBLISHED = frozenset({"published", "updated"})
_LISTS = ("added", "modified", "removed")
_LONGEST_PATH = 4096
_EVENT = re.compile(r"[a-z_]{1,64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TIME = TypeAdapter(datetime)
_Fact = TypeVar("_Fact", bound=Event)


class Pong:
    """A ping: there is nothing to do."""


class Ignored(str):
    """Why a delivery leads to nothing."""

    __slots__ = ()


def fact_of(event: str, body: bytes | bytearray, *, delivery: str | None, room: int) -> Event | Pong | Ignored:
    """Return what a delivery says. `event` is X-GitHub-Event, `room` the bytes that the event's JSON may take.

    Raises Problem (400) when the body is not such an event.
    """
    if event == "push":
        return pushed(decoded(body, Push, event), delivery=delivery, room=room)
    if event == "package":
        action = decoded(body, PackageAction, event)
        return published(action, action.package, delivery=delivery)
    if event == "registry_package":
        registered = decoded(body, RegistryPackageAction, event)
        return published(registered, registered.registry_package, delivery=delivery)
    if event == "ping":
        decoded(body, Ping, event)
        return Pong()
    named = event if _EVENT.fullmatch(event) else "that X-GitHub-Event names"
    return Ignored(f"nothing follows from the event {named}: push, package and registry_package count")


def pushed(push: Push, *, delivery: str | None = None, room: int) -> GithubPushed:
    """Return what a push says. Lists that are not whole, or do not fit into `room` bytes, are left out altogether."""
    fields: dict[str, Any] = {
        "repository_id": push.repository.id,
        "repository": push.repository.full_name,
        "owner_id": push.repository.owner.id if push.repository.owner else None,
        **{name: getattr(push, name) for name in ("ref", "before", "after", "base_ref")},
        **{name: getattr(push, name) for name in ("created", "deleted", "forced")},
        "pushed_at": _moment(push.repository.pushed_at),
        "commits": len(push.commits or ()),
        "delivery": delivery,
        **_who(push.sender, push.installation),
    }
    commits = push.commits
    if commits is not None and _whole(push, commits):
        net = net_change((_paths(commit.added), _paths(commit.modified), _paths(commit.removed)) for commit in commits)
        lists = net._asdict()
        if all(map(_fits, lists.values())):
            fact = _made(GithubPushed, fields | lists | {"complete": True})
            if len(fact.model_dump_json().encode()) <= room:
                return fact
    return _made(GithubPushed, fields | {"complete": False})


def published(
    action: PackageAction | RegistryPackageAction, package: Package, *, delivery: str | None = None
) -> GithubPackagePublished | Ignored:
    """Return what the publication of a package says, or why it does not matter."""
    if action.action not in _PUBLISHED:
        return Ignored(f"nothing follows when a package is {shown(action.action)}: only published and updated count")
    if package.kind != "container":
        return Ignored(f"nothing follows from a package of the kind {shown(package.kind)}: only containers count")
    version = decoded(package.package_version, Version, "package version")
    container = version.container_metadata
    tag = container.tag if container else None
    manifest = container.manifest if container else None
    return _made(
        GithubPackagePublished,
        {
            "host": _host(version.package_url),
            "owner": package.owner.login,
            "owner_id": package.owner.id,
            "name": package.name,
            "kind": package.kind,
            "tag": (tag.name if tag else None) or None,
            "digest": _digest(version.version, manifest, tag),
            "repository_id": action.repository.id if action.repository else None,
            "published_at": _moment(version.created_at) or _moment(package.updated_at),
            "delivery": delivery,
            **_who(action.sender, action.installation),
        },
    )


def actor_of(fact: Event) -> str:
    """Return who is behind a fact: the sender's login, else the App's installation."""
    sender, installation = getattr(fact, "sender", None), getattr(fact, "installation_id", None)
    return f"github/{sender or (f'installation-{installation}' if installation else 'webhook')}"


def source_of(fact: Event) -> str:
    """Return the CloudEvents `source` of a fact, by number: names change hands."""
    repository, owner = getattr(fact, "repository_id", None), getattr(fact, "owner_id", None)
    return f"//github.com/repositories/{repository}" if repository else f"//github.com/owners/{owner}"


def _whole(push: Push, commits: list[Commit]) -> bool:
    """Whether the lists can hold all that was changed: no cap was reached, none is missing, the last one is the head.

    Not so for a ref that is gone, an annotated tag, or a branch made from commits that GitHub knew before.
    """
    if len(commits) >= MOST_COMMITS or (commits[-1].id if commits else push.before) != push.after:
        return False
    for commit in commits:
        if commit.added is None or commit.modified is None or commit.removed is None:
            return False
        if len(commit.added) + len(commit.modified) + len(commit.removed) >= MOST_FILES:
            return False
    return True


def _paths(paths: list[str] | None) -> list[str]:
    return paths or []


def _fits(paths: tuple[str, ...]) -> bool:
    return len(paths) <= MOST_PATHS and all(0 < len(path) <= _LONGEST_PATH for path in paths)


def _who(sender: Account | None, installation: Installation | None) -> dict[str, Any]:
    return {
        "sender": sender.login if sender else None,
        "installation_id": installation.id if installation else None,
    }


def _host(package_url: str | None) -> str:
    """Return the registry of HOST/OWNER/NAME:TAG; GitHub's own when that is not said."""
    return (package_url or "").removeprefix("https://").partition("/")[0].lower() or GHCR


def _digest(version: str | None, manifest: Digested | None, tag: Digested | None) -> str | None:
    """Return the digest of what was published: the version is called so."""
    said = [version, manifest.digest if manifest else None, tag.digest if tag else None]
    return next((one for one in said if one and _DIGEST.fullmatch(one)), None)


def _moment(value: int | str | None) -> datetime | None:
    """Return a time; None for none, and for the year 1, which GitHub writes where it knows none."""
    try:
        found = datetime.fromtimestamp(value, UTC) if isinstance(value, int) else _TIME.validate_python(value)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.year > 1 and found.tzinfo else None


def _made(model: type[_Fact], fields: dict[str, Any]) -> _Fact:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        sentence = f"the body is not as GitHub documents it: {explain(model, error)}"
        raise Problem(HTTPStatus.BAD_REQUEST, sentence) from None
