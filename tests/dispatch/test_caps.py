"""Pushes beyond what GitHub lists, from real payloads to events: the same tenants as the trees say."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from schemas.envelope import Envelope
from schemas.github import GithubPushed
from schemas.tenants import TenantOffboarded, TenantOnboarded
from tests.contracts.github.conftest import github_settings
from tests.dispatch.conftest import PATTERN, RULES, tenant
from tests.fakes.claims import FakeClaims
from tests.fakes.progress import FakeProgress
from tests.local.github.client import Receiver
from workers.adapters.clock import SystemClock
from workers.adapters.github import AppCredentials, GithubClient, GithubRepositories
from workers.dispatch.worker import dispatch
from workers.gateway.webhooks.facts import fact_of
from workers.local.github import Github
from workers.local.github.credentials import Caller
from workers.local.github.seed import USER
from workers.local.github.smart_http import Update
from workers.local.loopback import Loopback

MAIN = "refs/heads/main"
ROOM = 900_000
Files = Mapping[str, str | None]


@dataclass
class Pushing:
    """A local GitHub, its bare repository, what receives its webhooks, and the worker's ports."""

    local: Github
    folder: Path
    receiver: Receiver
    github: GithubRepositories
    claims: FakeClaims

    async def git(self, *arguments: str, stdin: str = "") -> str:
        """Run git in the bare repository."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "git", *arguments, cwd=self.folder, stdin=pipe, stdout=pipe, stderr=pipe
        )
        out, err = await process.communicate(stdin.encode())
        assert process.returncode == 0, err.decode()
        return out.decode().strip()

    async def commits(self, steps: Iterable[Files], *, on: str) -> str:
        """Store one commit a step and return the last one."""
        lines = []
        for number, step in enumerate(steps):
            lines.append("commit refs/import/fresh\ncommitter Ada <ada@example.com> 1760000000 +0000\ndata 1\nx")
            lines += [f"from {on}"] if number == 0 else []
            for path, content in step.items():
                text = None if content is None else f"data {len(content)}\n{content}"
                lines.append(f"D {path}" if text is None else f"M 100644 inline {path}\n{text}")
        await self.git("fast-import", "--quiet", "--force", stdin="\n".join([*lines, ""]))
        return await self.git("rev-parse", "refs/import/fresh")

    async def push(self, after: str) -> tuple[GithubPushed, str]:
        """Let main be there, and return what GitHub said of it, read as the door reads it, and where main was."""
        before = await self.git("rev-parse", MAIN)
        await self.git("update-ref", MAIN, after)
        repository = self.local.directory.repository_by_id(self.local.names.repository_id)
        assert repository is not None
        self.receiver.got.clear()
        await self.local._running()[2].pushed(repository, [Update(MAIN, before, after)], Caller(user=USER))
        await self.local.deliveries.settled()
        ((headers, body),) = self.receiver.got
        fact = fact_of(headers["X-GitHub-Event"], body, delivery=None, room=ROOM)
        assert isinstance(fact, GithubPushed)
        return fact, before

    async def tenants(self, push: GithubPushed) -> dict[str, str]:
        """Let the worker take a push, and return TENANT → what happened."""
        rules = [{**rule, "repository_id": push.repository_id} for rule in RULES]
        settings = github_settings(self.local, rules=rules)
        envelope = Envelope(id=push.after, source="/github", type=push.event_type, run="run")
        events = await dispatch(push, envelope, self.github, self.claims, settings, SystemClock(), FakeProgress())
        return {event.tenant: event.change for event in events if isinstance(event, TenantOnboarded | TenantOffboarded)}

    async def expected(self, before: str, after: str) -> dict[str, str]:
        """Return what git itself says of two trees."""
        remaining = {_tenant(path) for path in (await self.git("ls-tree", "-r", "--name-only", after)).splitlines()}
        changed: dict[str, str] = {}
        for line in (await self.git("diff", "--no-renames", "--name-status", before, after)).splitlines():
            word, path = line.split("\t")
            name = _tenant(path)
            if name is not None:
                gone = name not in remaining
                fresh = "removed" if gone else "added" if word == "A" else "modified"
                changed[name] = min(fresh, changed.get(name, fresh), key=["added", "modified", "removed"].index)
        return changed


def _tenant(path: str) -> str | None:
    found = re.fullmatch(r"onboarding/([a-z0-9-]+)/[^/]*\.yaml", path)
    return found and found[1]


@pytest.fixture
async def pushing(tmp_path: Path) -> AsyncIterator[Pushing]:
    """Run all of it, with three tenants on main that the worker knows."""
    receiver = Receiver()
    application = web.Application(client_max_size=30 << 20)
    application.router.add_post("/", receiver.take)
    server = Loopback("the receiver")
    await server.start(application)
    async with Github(tmp_path / "github") as local:
        await local.hook_to(f"{server.url}/")
        await local.deliveries.settled()
        client = GithubClient(local.url)
        github = GithubRepositories(client, AppCredentials(github_settings(local), client))
        folder = tmp_path / "github" / "repositories" / f"{local.names.repository_id}.git"
        pushing = Pushing(local, folder, receiver, github, FakeClaims())
        start = await pushing.commits(
            [{tenant(name): "1" for name in ("acme", "beta", "gamma")}], on=await pushing.git("rev-parse", MAIN)
        )
        first, _ = await pushing.push(start)
        assert await pushing.tenants(first) == {"acme": "added", "beta": "added", "gamma": "added"}
        yield pushing
        await client.close()
    await server.stop()


async def test_a_push_of_2100_commits_yields_what_the_trees_say(pushing: Pushing) -> None:
    """The first ones, which GitHub leaves out, add and remove tenants; later ones come and go."""
    steps: list[Files] = [{tenant("early"): "1", tenant("acme"): None}]
    steps += [{tenant(f"t{number % 40}", str(number)): str(number), "log": str(number)} for number in range(2090)]
    steps += [{tenant("passing"): "1"}, {tenant("passing"): None}, {tenant("beta"): "2"}]
    push, before = await pushing.push(await pushing.commits(steps, on=await pushing.git("rev-parse", MAIN)))

    assert (push.commits, push.complete, push.added) == (2048, False, ())
    found = await pushing.tenants(push)
    assert found == await pushing.expected(before, push.after)
    assert {"early": "added", "acme": "removed", "beta": "modified"}.items() <= found.items()
    assert "passing" not in found


async def test_a_commit_of_3500_files_yields_what_the_trees_say(pushing: Pushing) -> None:
    """Those that come last by name are left out of the payload."""
    files: Files = {tenant(f"t{number:04}"): "1" for number in range(3500)} | {tenant("gamma"): None}
    push, before = await pushing.push(await pushing.commits([files], on=await pushing.git("rev-parse", MAIN)))

    assert (push.complete, push.added) == (False, ())
    found = await pushing.tenants(push)
    assert found == await pushing.expected(before, push.after)
    assert len(found) == 3501


async def test_a_forced_push_yields_what_the_trees_say(pushing: Pushing) -> None:
    """Two branches that part: what the one had is taken back, what the other has is new."""
    root = await pushing.git("rev-parse", MAIN)
    left = await pushing.commits([{tenant("left"): "1", tenant("acme"): "2"}, {tenant("beta"): None}], on=root)
    right = await pushing.commits([{tenant("right"): "1", tenant("gamma"): None}], on=root)
    plain, _ = await pushing.push(left)
    assert await pushing.tenants(plain) == {"acme": "modified", "beta": "removed", "left": "added"}

    push, before = await pushing.push(right)

    assert push.forced
    found = await pushing.tenants(push)
    assert found == await pushing.expected(before, push.after)
    assert found == {"acme": "modified", "beta": "added", "gamma": "removed", "left": "removed", "right": "added"}


async def test_a_plain_push_yields_what_the_trees_say(pushing: Pushing) -> None:
    """By its lists alone."""
    files: Files = {tenant("delta"): "1", tenant("acme"): "2", f"{PATTERN.partition('/')[0]}/README.md": "x"}
    push, before = await pushing.push(await pushing.commits([files], on=await pushing.git("rev-parse", MAIN)))
    pushing.local.faults.calls.clear()

    assert push.complete
    assert await pushing.tenants(push) == await pushing.expected(before, push.after)
    assert not pushing.local.faults.calls
