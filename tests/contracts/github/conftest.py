"""The ports Github and Deliveries twice: in memory, and our adapter in front of the local GitHub."""

import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from dulwich.index import commit_tree
from dulwich.objects import Blob, Commit, ObjectID, Tag
from dulwich.refs import Ref
from dulwich.repo import Repo

from tests.fakes.github import FakeDeliveries, FakeGithub, Stored
from workers.adapters.github import AppCredentials, AppDeliveries, GithubClient, GithubRepositories
from workers.github_rules import GithubSettings
from workers.local.github import Github as LocalGithub
from workers.local.loopback import Loopback
from workers.ports import Deliveries, Github
from workers.ports.github import Repository

_WHO = b"Ada <ada@example.com>"


@dataclass
class Place:
    """A repository that the port shows, and what its owners do there."""

    github: Github
    deliveries: Deliveries
    repository: Repository
    hidden: Repository
    """One that is there, but not for us."""
    commit: Callable[..., str]
    """Store a commit of `files`, whose parent is `on`."""
    point: Callable[[str, str | None], None]
    """Let a ref name a commit; None deletes it."""
    tag: Callable[[str, str], None]
    """Make an annotated tag of a commit, where there is such a thing."""
    deliver: Callable[[str, bool], Awaitable[None]]
    """Attempt to deliver something, with or without success."""
    attempts_made: Callable[[], Awaitable[int]]
    """How many attempts were made until now."""


@asynccontextmanager
async def _fake(_: Path) -> AsyncIterator[Place]:
    github, deliveries, stored = FakeGithub(), FakeDeliveries(), Stored()
    github.repositories[5] = stored

    def point(ref: str, sha: str | None) -> None:
        stored.refs.pop(ref, None)
        if sha is not None:
            stored.refs[ref] = sha

    async def deliver(guid: str, ok: bool) -> None:  # noqa: FBT001 - see Place
        deliveries.add(guid, datetime.now(UTC) + timedelta(seconds=len(deliveries.made)), ok=ok)

    async def made() -> int:
        return len(deliveries.made) + len(deliveries.asked)

    place = Place(github, deliveries, Repository(5), Repository(6), stored.commit, point, point, deliver, made)
    yield place


class Objects:
    """Writes into the bare repository of the local GitHub, as a push would."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def commit(self, files: Mapping[str, str], *, on: str | None = None) -> str:
        """Store a commit and return its name."""
        with Repo(self._path) as repo:
            entries = []
            for path, content in files.items():
                blob = Blob.from_string(content.encode())
                repo.object_store.add_object(blob)
                entries.append((path.encode(), blob.id, stat.S_IFREG | 0o644))
            commit = Commit()
            commit.tree = commit_tree(repo.object_store, entries)
            commit.parents = [] if on is None else [ObjectID(on.encode())]
            commit.author = commit.committer = _WHO
            commit.author_time = commit.commit_time = 1_760_000_000
            commit.author_timezone = commit.commit_timezone = 0
            commit.message = b"Change files\n"
            repo.object_store.add_object(commit)
            return commit.id.decode()

    def point(self, ref: str, sha: str | None) -> None:
        """Let a ref name a commit."""
        with Repo(self._path) as repo:
            name = Ref(ref.encode())
            if sha is None:
                repo.refs.remove_if_equals(name, None)
            else:
                repo.refs[name] = ObjectID(sha.encode())

    def tag(self, ref: str, sha: str) -> None:
        """Make an annotated tag."""
        with Repo(self._path) as repo:
            tag = Tag()
            tag.name, tag.message, tag.tagger = ref.rpartition("/")[2].encode(), b"A tag\n", _WHO
            tag.tag_time, tag.tag_timezone = 1_760_000_000, 0
            tag.object = (Commit, ObjectID(sha.encode()))
            repo.object_store.add_object(tag)
            repo.refs[Ref(ref.encode())] = tag.id


def github_settings(local: LocalGithub, **changes: Any) -> GithubSettings:
    """Return the settings of the App on a local GitHub."""
    names = local.names
    facts = {"api": local.url, "app_id": names.app_id, "private_key": f"file://{names.private_key}"}
    return GithubSettings.model_validate(facts | changes)


@asynccontextmanager
async def _local(folder: Path) -> AsyncIterator[Place]:
    async with LocalGithub(folder / "github") as local:
        names = local.names
        hidden = local.directory.add_repository(
            local.directory.account(names.owner) or pytest.fail("no owner"), "hidden", private=True, branch="main"
        )
        objects = Objects(folder / "github" / "repositories" / f"{names.repository_id}.git")
        settings = github_settings(local)
        client = GithubClient(settings.api)
        credentials = AppCredentials(settings, client)

        async def deliver(guid: str, ok: bool) -> None:  # noqa: FBT001 - GitHub makes up the guid
            async with receiver(202 if ok else 503) as url:
                local.directory.set_hook(url=url)
                local._running()[2].ping()
                await local.deliveries.settled()

        async def made() -> int:
            await local.deliveries.settled()
            return sum(1 for _ in local.deliveries.tried(below=None, status=None, count=1000))

        yield Place(
            GithubRepositories(client, credentials),
            AppDeliveries(client, credentials),
            Repository(names.repository_id, names.installation_id),
            Repository(hidden.id, names.installation_id),
            objects.commit,
            objects.point,
            objects.tag,
            deliver,
            made,
        )
        await client.close()


@asynccontextmanager
async def receiver(status: int) -> AsyncIterator[str]:
    """Run something that answers webhooks with a status; return its URL."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    application = web.Application()
    application.router.add_post("/", answer)
    server = Loopback("the receiver")
    await server.start(application)
    yield f"{server.url}/"
    await server.stop()


_PLACES: dict[str, Callable[[Path], AbstractAsyncContextManager[Place]]] = {"fake": _fake, "local-github": _local}


@pytest.fixture(params=_PLACES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Each kind in turn."""
    async with _PLACES[request.param](tmp_path) as opened:
        yield opened
