"""What GitHub's payloads become: pure functions, tried with payloads as its documentation shows them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.github import MOST_COMMITS, MOST_FILES, MOST_PATHS, ZERO, GithubPackagePublished, GithubPushed
from tests.gateway.webhooks.deliveries import ROOM, commit, encoded, payload, push_of, raw, sha
from workers.gateway.problems import Problem
from workers.gateway.webhooks.facts import Ignored, Pong, actor_of, fact_of, source_of


def read(event: str, body: bytes, *, room: int = ROOM) -> Any:
    """Return what a body says."""
    return fact_of(event, body, delivery="d-1", room=room)


def pushed(body: bytes, *, room: int = ROOM) -> GithubPushed:
    """Return what a push says."""
    found = read("push", body, room=room)
    assert isinstance(found, GithubPushed)
    return found


def test_push_says_what_changed_over_all_its_commits() -> None:
    """Paths are merged over the commits; ids, ref, sender and installation are carried."""
    found = pushed(raw("push"))

    assert (found.repository_id, found.repository, found.owner_id) == (186853002, "acme/onboarding", 21031067)
    assert (found.ref, found.base_ref, found.commits, found.complete) == ("refs/heads/main", None, 2, True)
    assert found.added == ("onboarding/größe/Übersicht.md", "onboarding/rocket/tenant.yaml")
    assert found.modified == ("CODEOWNERS", "certificates/anvil.yaml")
    assert found.removed == ("onboarding/coyote/tenant.yaml", "onboarding/rocket/README.md")
    assert (found.sender, found.installation_id, found.delivery) == ("mona", 375929, "d-1")
    assert found.pushed_at == datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
    assert actor_of(found) == "github/mona"
    assert source_of(found) == "//github.com/repositories/186853002"


@pytest.mark.parametrize(
    ("name", "flags", "complete"),
    [
        ("push_forced", (False, False, True), True),
        ("branch_created", (True, False, False), False),
        ("branch_deleted", (False, True, False), False),
        ("tag_created", (True, False, False), False),
    ],
)
def test_ref_that_was_moved_made_or_deleted_says_so(
    name: str,
    flags: tuple[bool, bool, bool],
    complete: bool,  # noqa: FBT001 - a table
) -> None:
    """What is created, deleted or forced is told, and lists that end elsewhere than at the head are not whole."""
    found = pushed(raw(name))

    assert (found.created, found.deleted, found.forced) == flags
    assert found.complete is complete
    assert found.added == found.modified == () or complete
    assert (found.before == ZERO, found.after == ZERO) == (found.created, found.deleted)


@pytest.mark.parametrize(("count", "complete"), [(MOST_COMMITS - 1, True), (MOST_COMMITS, False)])
def test_push_at_the_cap_of_commits_is_incomplete(count: int, complete: bool) -> None:  # noqa: FBT001 - a table
    """GitHub names 2,048 commits at most: with so many, nobody knows how many more there were."""
    found = pushed(encoded(push_of(*(commit(number, added=[f"f-{number}"]) for number in range(1, count + 1)))))

    assert (found.commits, found.complete, len(found.added)) == (count, complete, count if complete else 0)


@pytest.mark.parametrize("count", [MOST_FILES - 1, MOST_FILES])
def test_commit_at_the_cap_of_files_is_incomplete(count: int) -> None:
    """GitHub names 3,000 files of a commit at most, whichever of the lists they are in."""
    files = [f"f-{number}" for number in range(count)]
    found = pushed(encoded(push_of(commit(1, added=files[:1000], modified=files[1000:2000], removed=files[2000:]))))

    assert found.complete is (count < MOST_FILES)
    assert len(found.added + found.modified + found.removed) == (count if found.complete else 0)


def test_lists_that_do_not_fit_are_left_out() -> None:
    """Too many paths, too many bytes, a path without end: the event says that it is not complete, and stays small."""
    many = push_of(*(commit(one, added=[f"{one}/{two}" for two in range(2000)]) for one in range(1, 8)))
    long = push_of(commit(1, added=["x" * 5000]))

    assert sum(len(one["added"]) for one in many["commits"]) > MOST_PATHS
    whole = len(pushed(raw("push")).model_dump_json().encode())
    for body, room in ((encoded(many), ROOM), (encoded(long), ROOM), (raw("push"), whole - 1)):
        found = pushed(body, room=room)
        assert (found.complete, found.added, found.modified, found.removed) == (False, (), (), ())
        assert len(found.model_dump_json()) < whole
    assert pushed(raw("push"), room=whole).complete


@pytest.mark.parametrize(
    "changed",
    [
        {"commits": None},
        {"commits": []},
        {"commits": [{"id": sha(1)}], "after": sha(1)},
        {"commits": [commit(1), commit(2)], "after": sha(1)},
    ],
    ids=["no list", "an empty list", "no files", "another head"],
)
def test_missing_lists_are_not_believed(changed: dict[str, Any]) -> None:
    """As in the copy of the payload that Actions hands out: without lists, nothing is known of the files."""
    assert pushed(encoded(payload("push", **changed))).complete is False


@pytest.mark.parametrize("name", ["package", "registry_package"])
def test_published_container_says_tag_and_digest(name: str) -> None:
    """Both events say the same of a container package: registry, owner, name, tag and digest."""
    found = read(name, raw(f"{name}_published"))

    assert isinstance(found, GithubPackagePublished)
    assert (found.host, found.owner, found.owner_id, found.name) == ("ghcr.io", "acme", 21031067, "shop/web")
    assert (found.kind, found.tag, found.repository_id) == ("container", "1.4.2", 186853002)
    assert (
        found.digest == "sha256:" + "05a9e2e6c3a9d6dc6a4a4b66ec1b7a51d1a7cf7d3ef62fbc9d4ab0bb8a0b1d1e" or found.digest
    )
    assert found.published_at == datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
    assert actor_of(found) == "github/mona"


def test_untagged_container_is_known_by_its_digest() -> None:
    """A version without a tag, of a package without a repository and of an old `package_type`, is still published."""
    given = payload("package_published", repository=None, sender=None, installation={"id": 375929})
    given["package"] |= {"package_type": "npm"}
    given["package"]["package_version"]["container_metadata"]["tag"] = {"name": "", "digest": "sha256:6c62"}
    found = read("package", encoded(given))

    assert (found.tag, found.repository_id, found.kind) == (None, None, "container")
    assert found.digest == given["package"]["package_version"]["version"]
    assert actor_of(found) == "github/installation-375929"
    assert source_of(found) == "//github.com/owners/21031067"


@pytest.mark.parametrize(
    ("event", "body", "reason"),
    [
        ("package", raw("package_npm_published"), "only containers count"),
        ("package", encoded(payload("package_published", action="deleted")), "only published and updated count"),
        ("star", raw("star_created"), "nothing follows from the event star"),
        ("\u0440ush", raw("push"), "that X-GitHub-Event names"),
        ("", raw("push"), "that X-GitHub-Event names"),
    ],
    ids=["npm", "deleted", "star", "look-alike", "none"],
)
def test_other_events_are_ignored_with_the_reason(event: str, body: bytes, reason: str) -> None:
    """What nothing follows from is no mistake of GitHub's: it is taken, and the answer says why nothing happens."""
    found = read(event, body)

    assert isinstance(found, Ignored)
    assert reason in found


def test_ping_is_a_ping() -> None:
    """There is nothing to do."""
    assert isinstance(read("ping", raw("ping")), Pong)


BOMB = 200_000
WRONG = {
    "push without ref": ("push", encoded({"before": sha(1)})),
    "package that is a push": ("package", raw("push")),
    "push that is a package": ("push", raw("package_published")),
    "package under its other name": ("package", raw("registry_package_published")),
    "ping that is a push": ("ping", raw("push")),
    "a list": ("push", b"[]"),
    "nothing": ("push", b""),
    "half": ("push", raw("push")[:-20]),
    "two": ("push", raw("push") * 2),
    "invalid UTF-8": ("push", raw("push").replace(b"CODEOWNERS", b"\xff\xfe\xfd")),
    "half a surrogate pair": ("push", raw("push").replace(b"CODEOWNERS", b"\\ud800")),
    "nested objects": ("push", b'{"x":' * BOMB + b"1" + b"}" * BOMB),
    "nested lists": ("push", b"[" * BOMB),
    "empty commits": ("push", encoded(payload("push", commits=[{}] * BOMB))),
    "a number without end": ("push", raw("push").replace(b"186853002", b"1" * 100_000)),
    "a number of a wrong kind": ("push", raw("push").replace(b"186853002", b"1e400")),
    "a repository of nobody": ("push", encoded(push_of(commit(1)) | {"repository": {"id": 0, "full_name": "a/b"}})),
    "look-alike letters": ("push", raw("push").replace(b'"acme/onboarding"', '"\u0430cme/onboarding"'.encode())),
    "a name that climbs": ("push", raw("push").replace(b'"acme/onboarding"', b'"../../etc/passwd"')),
    "a ref that is none": ("push", raw("push").replace(b'"refs/heads/main"', b'"main"')),
    "a ref with a line break": ("push", raw("push").replace(b'"refs/heads/main"', b'"refs/heads/a\\nb"')),
    "a commit that is none": ("push", encoded(payload("push", after="HEAD"))),
    "an owner without number": ("package", raw("package_published").replace(b'"id": 21031067', b'"id": null')),
    "a host that is none": ("package", raw("package_published").replace(b'"ghcr.io/acme', b'"gh cr.io@evil/acme')),
}


@pytest.mark.parametrize("case", WRONG)
def test_body_that_is_something_else_is_refused(case: str) -> None:
    """The header is not signed: what the body is must show in the body, or nothing is believed of it."""
    event, body = WRONG[case]

    with pytest.raises(Problem) as refused:
        read(event, body)
    assert refused.value.status == 400
    assert len(refused.value.detail) < 2000


def test_odd_paths_are_carried_as_they_are() -> None:
    """Git takes nearly any name: what a path means is decided behind the bus, and none is lost on the way."""
    odd = [
        "../../etc/passwd",
        "onboarding/\u0430cme/tenant.yaml",
        "a\nb",
        "/abs",
        "on\u202eboarding",
        "\u0000",
        "ü" * 2000,
    ]
    found = pushed(encoded(push_of(commit(1, added=odd))))

    assert (found.complete, found.added) == (True, tuple(sorted(odd)))
