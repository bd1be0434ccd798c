"""git itself clones, fetches and pushes over HTTP, and is told why where it may not."""

import asyncio
import base64
from pathlib import Path

import pytest

from tests.local.github.client import REPOSITORY, Api, Receiver, WorkTree

TENANT = "onboarding/acme/tenant.yaml"


async def test_git_pushes_and_another_clone_fetches(api: Api, tree: WorkTree, tmp_path: Path) -> None:
    """What one pushes, the other has, byte for byte."""
    await WorkTree(tmp_path, tree.config).git("clone", "-q", f"{api.github.url}/acme/onboarding", "other")
    other = WorkTree(tmp_path / "other", tree.config)
    head = await tree.commit({TENANT: "name: acme\n", "blob.bin": "x" * 300_000})
    await tree.git("push", "-q", "origin", "main")
    await other.git("pull", "-q")

    assert await other.git("rev-parse", "HEAD") == head
    assert (other.folder / TENANT).read_text() == "name: acme\n"
    assert (await api.ask("GET", f"{REPOSITORY}/git/ref/heads/main", api.person)).json["object"]["sha"] == head


async def test_a_push_that_is_behind_is_refused(tree: WorkTree, tmp_path: Path, api: Api) -> None:
    """Git fetches first, as with any server; with force it goes through."""
    await WorkTree(tmp_path, tree.config).git("clone", "-q", f"{api.github.url}/acme/onboarding", "other")
    other = WorkTree(tmp_path / "other", tree.config)
    await tree.commit({"a": "1"})
    await tree.git("push", "-q")
    await other.commit({"b": "2"})

    assert "fetch first" in await other.git("push", code=1)
    await other.git("push", "-q", "--force")


async def test_of_two_pushes_at_once_one_is_refused(tree: WorkTree, tmp_path: Path, receiver: Receiver) -> None:
    """Whoever comes second is told so; one push is announced."""
    await WorkTree(tmp_path, tree.config).git("clone", "-q", str(tree.folder), "other")
    other = WorkTree(tmp_path / "other", tree.config)
    url = await tree.git("remote", "get-url", "origin")
    await tree.commit({"a": "1"})
    await other.commit({"b": "1"})
    ended = await asyncio.gather(*(one.run("push", url, "main") for one in (tree, other)))

    assert sorted(code for code, _ in ended) == [0, 1]
    await receiver.arrived(2)
    assert len(receiver.events("push")) == 1


@pytest.mark.parametrize(
    ("refspec", "reason"),
    [
        ("HEAD:refs/pull/1/head", "deny updating a hidden ref"),
        (":main", "refusing to delete the current branch: refs/heads/main"),
    ],
)
async def test_git_is_told_what_is_refused(tree: WorkTree, receiver: Receiver, refspec: str, reason: str) -> None:
    """Nothing is moved and nothing is announced."""
    said = await tree.git("push", "origin", refspec, code=1)

    assert reason in said
    assert receiver.events("push") == []


async def test_one_refused_ref_of_an_atomic_push_refuses_all(tree: WorkTree, receiver: Receiver) -> None:
    """The good one is not moved either."""
    await tree.commit({TENANT: "name: acme\n"})
    await tree.git("push", "--atomic", "origin", "main", "HEAD:refs/pull/1/head", code=1)

    assert await tree.git("rev-parse", "HEAD~1") in await tree.git("ls-remote", "origin", "refs/heads/main")
    assert receiver.events("push") == []


async def test_an_installation_that_may_only_read_fetches_and_does_not_push(
    api: Api, tree: WorkTree, tmp_path: Path
) -> None:
    """Its token is good as the password of any user name."""
    login = base64.b64encode(f"anybody:{await api.token()}".encode()).decode()
    config = tmp_path / "installation"
    config.write_text(f'[http "{api.github.url}/"]\n\textraHeader = Authorization: Basic {login}\n')
    reader = WorkTree(tree.folder, config)
    await tree.commit({TENANT: "name: acme\n"})

    await reader.git("fetch", "-q")
    assert "The requested URL returned error: 403" in await reader.git("push", code=128)


async def test_git_without_a_token_is_asked_for_one(tree: WorkTree, tmp_path: Path) -> None:
    """A repository that is not there looks the same to a stranger."""
    config = tmp_path / "stranger"
    config.touch()
    stranger = WorkTree(tree.folder, config)
    assert "could not read Username" in await stranger.git("fetch", code=128)
    await tree.git("remote", "set-url", "origin", (await tree.git("remote", "get-url", "origin")) + "-other")
    assert "could not read Username" in await stranger.git("fetch", code=128)
    assert "not found" in await tree.git("fetch", code=128)


async def test_what_is_not_gits_protocol_is_refused(api: Api) -> None:
    """Garbage in place of a pack moves nothing and breaks nothing."""
    login = base64.b64encode(f"x:{api.person}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/x-git-receive-pack-request"}
    path = "/acme/onboarding.git/git-receive-pack"
    for body in (b"", b"garbage", b"0000", b"0009nope\n0000", b"ffff", b"00"):
        reply = await api.ask("POST", path, headers=headers, data=body)
        assert reply.status in {200, 400}, (body, reply)
    dumb = await api.ask("GET", "/acme/onboarding.git/info/refs", headers=headers)
    assert dumb.status == 403
    plain = await api.ask("POST", path, headers=headers | {"Content-Type": "text/plain"}, data=b"x")
    assert plain.status == 415
    assert (await api.ask("GET", f"{REPOSITORY}/git/ref/heads/main", api.person)).status == 200


async def test_a_branch_never_points_at_what_is_not_there(api: Api) -> None:
    """A push without a pack that names an unknown commit is refused."""
    login = base64.b64encode(f"x:{api.person}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/x-git-receive-pack-request"}
    command = f"{'0' * 40} {'1' * 40} refs/heads/ghost\0report-status\n".encode()
    pack = b"PACK\0\0\0\2\0\0\0\0" + bytes.fromhex("029d08823bd8a8eab510ad6ac75c823cfd3ed31e")
    body = f"{len(command) + 4:04x}".encode() + command + b"0000" + pack
    reply = await api.ask("POST", "/acme/onboarding.git/git-receive-pack", headers=headers, data=body)

    assert b"ng refs/heads/ghost missing necessary objects" in reply.body
    assert (await api.ask("GET", f"{REPOSITORY}/git/ref/heads/ghost", api.person)).status == 404
