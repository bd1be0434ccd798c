"""The worker on a real bus, in processes that are killed: no tenant is lost, whenever it happens."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from schemas.github import GithubPushed, NetChange
from tests.bus.lane import Lane, lane_on, until
from tests.commands.forking import forking
from tests.contracts.github.conftest import Objects, github_settings
from tests.dispatch.child import hurried
from tests.dispatch.conftest import RULES, tenant
from workers.local.github import Github
from workers.local.nats import NatsServer

MAIN = "refs/heads/main"
PUSHES = 24


class Scene:
    """A bus, a GitHub, and one worker process after the other."""

    def __init__(self, lane: Lane, local: Github, objects: Objects) -> None:
        self.lane, self.local, self.objects = lane, local, objects
        rules = [{**rule, "repository_id": local.names.repository_id} for rule in RULES]
        self.settings = github_settings(local, rules=rules).model_dump_json()
        self.files: dict[str, str] = {}
        self.at = objects.commit({})
        objects.point(MAIN, self.at)

    async def push(self, change: NetChange, *, complete: bool, number: int) -> None:
        """Let main move, and put on the bus what the door would."""
        before = self.at
        self.files |= dict.fromkeys((*change.added, *change.modified), str(number))
        for path in change.removed:
            del self.files[path]
        self.at = self.objects.commit(self.files, on=before)
        self.objects.point(MAIN, self.at)
        names = self.local.names
        event = GithubPushed(
            repository_id=names.repository_id,
            repository=names.repository,
            installation_id=names.installation_id,
            ref=MAIN,
            before=before,
            after=self.at,
            pushed_at=datetime.now(UTC) - timedelta(hours=1),
            commits=1,
            complete=complete,
            **change._asdict(),
        )
        await self.lane.publish(event, event_id=self.at)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the worker in a process of its own, which is gone afterwards."""
        with forking():
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.dispatch.child", self.lane.url, self.settings), env=dict(os.environ)
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()

    async def is_quiet(self) -> bool:
        """Whether nothing waits for the worker any more."""
        found = [await self.lane.pending(stream, "dispatch") for stream in ("EVENTS", "RETRY_dispatch")]
        return found == [(0, 0), (0, 0)] and await self.lane.count("RETRY_dispatch") == 0

    async def heard(self) -> tuple[set[str], int]:
        """Return the tenants that whoever follows the events believes in, and how many events there are."""
        tenants: set[str] = set()
        events = 0
        for headers, _ in await self.lane.messages("EVENTS", "tenant."):
            events += 1
            name = headers["ce-subject"]
            tenants = tenants | {name} if headers["ce-type"] == "tenant.onboarded" else tenants - {name}
        return tenants, events

    def held(self) -> set[str]:
        """Return the tenants that main holds."""
        return {path.split("/")[1] for path in self.files}


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Run the bus and the GitHub."""
    async with (
        NatsServer(tmp_path / "nats") as server,
        lane_on(server.url) as lane,
        Github(tmp_path / "github") as local,
    ):
        await lane.provision(hurried())
        path = tmp_path / "github" / "repositories" / f"{local.names.repository_id}.git"
        yield Scene(lane, local, Objects(path))


async def _pushes(scene: Scene, chance: random.Random) -> None:
    for number in range(PUSHES):
        known = sorted(scene.files)
        removed = tuple(chance.sample(known, 1)) if len(known) > 4 and chance.random() < 0.4 else ()
        change = NetChange((tenant(f"t{number}"),), (), removed)
        await scene.push(change, complete=chance.random() < 0.6, number=number)


async def test_pushes_are_taken_by_two_workers_at_once(scene: Scene) -> None:
    """Whoever takes which: the tenants are those of the branch, and nothing is told twice."""
    await _pushes(scene, random.Random(1))  # noqa: S311 - a test's choice
    async with scene.worker(), scene.worker():
        await until(scene.is_quiet, within=120, what="all pushes are taken")

    tenants, _ = await scene.heard()
    messages = await scene.lane.messages("EVENTS", "tenant.")
    told = [(headers["ce-type"], headers["ce-subject"]) for headers, _ in messages]
    assert tenants == scene.held()
    assert len(set(told)) == len(told)
    assert await scene.lane.count("DEAD") == 0


async def test_a_branch_with_thousands_of_tenants_is_taken_at_once(scene: Scene) -> None:
    """One push, more events than one message can name, and a run that names them all."""
    many = NetChange(tuple(tenant(f"t{number:05}") for number in range(2500)), (), ())
    await scene.push(many, complete=False, number=0)
    async with scene.worker():
        await until(scene.is_quiet, within=120, what="the push is taken")

    said = [message for message in await scene.lane.bodies("PROGRESS") if message.get("emitted")]
    named = {event["subject"] for message in said for event in message["emitted"]}
    assert await scene.lane.count("DEAD") == 0
    assert await scene.lane.count("EVENTS") == 2501
    assert named == scene.held()
    assert [message["kind"] for message in said] == ["log"] * 2 + ["result"]


@pytest.mark.parametrize("kind", ["token", "repository", "ref", "compare", "tree"])
async def test_a_worker_killed_while_it_asks_loses_nothing(scene: Scene, kind: str) -> None:
    """Kill -9 while an answer of GitHub is on its way: the next process takes everything."""
    many = NetChange(tuple(tenant(f"t{number:03}") for number in range(310)), (), ())
    await scene.push(many, complete=False, number=0)
    await scene.push(NetChange((tenant("last"),), (), (tenant("t000"),)), complete=True, number=1)
    scene.local.faults.stall(kind, 5)
    calls = scene.local.faults.calls
    verb = "POST" if kind == "token" else "GET"
    async with scene.worker() as worker:
        await until(lambda: calls[f"{verb} {kind}"] > 0, what=f"the worker asks for {kind}")
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    async with scene.worker():
        await until(scene.is_quiet, within=120, what="all pushes are taken")

    tenants, _ = await scene.heard()
    assert tenants == scene.held()
    assert await scene.lane.count("DEAD") == 0


async def test_workers_killed_again_and_again_lose_nothing(scene: Scene) -> None:
    """Kill -9 five times at any point: in the end the tenants are those of the branch, and no event is there twice."""
    chance = random.Random(2)  # noqa: S311 - a test's choice
    scene.local.faults.latency = 0.02
    await _pushes(scene, chance)
    for round_ in range(1, 6):
        async with scene.worker() as worker:
            goal = round_ * PUSHES // 8
            await until(partial(_at_least, scene, goal), within=120, what=f"{goal} events")
            worker.send_signal(signal.SIGKILL)
            await worker.wait()
    async with scene.worker():
        await until(scene.is_quiet, within=120, what="all pushes are taken")

    tenants, _ = await scene.heard()
    ids = [headers["ce-id"] for headers, _ in await scene.lane.messages("EVENTS", "tenant.")]
    assert tenants == scene.held()
    assert len(set(ids)) == len(ids)
    assert await scene.lane.count("DEAD") == 0


async def _at_least(scene: Scene, goal: int) -> bool:
    return (await scene.heard())[1] >= goal
