"""Real processes on the world in a box: a worker dies, or hangs, in the middle of its create; another goes on."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.commands.command import Finished, Sealane
from workers.app.clouds import Clouds
from workers.app.connecting import connect_as
from workers.app.environment import load_settings
from workers.app.pushing import push_image
from workers.app.world import World
from workers.bus.claims.claims import ClaimsBucket
from workers.bus.doors.entrance import check, enter
from workers.bus.transport.publisher import Publisher
from workers.local.folder import WorldFolder
from workers.ports import Attestation, Attestations

PATIENCE = 120.0
LEASE = "4"


async def eventually(look: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until it is so."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not await look():  # noqa: ASYNC110 - the condition is in other processes
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE:g} s: {what}") from None


class Scene:
    """A world without workers, one image in it, and one worker process that somebody will hurt."""

    def __init__(self, world: World, image: str, digest: str) -> None:
        self.world, self.image, self.digest = world, image, digest
        self.data = world.folder.root
        self._sealane = Sealane("", self.data)
        del self._sealane._environment["SEALANE_NATS"]
        self._sealane._environment["SEALANE_LEASE"] = LEASE
        self.worker: asyncio.subprocess.Process | None = None

    async def faults(self, **order: object) -> None:
        """Tell the Google services to misbehave."""
        url = f"{self.world.endpoints['google_rest']}/__faults__"
        headers = {"authorization": f"Bearer {self.world.folder.token()}"}
        async with aiohttp.ClientSession() as session, session.post(url, json=order, headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    async def start_worker(self) -> asyncio.subprocess.Process:
        """Start the worker and publish the image."""
        self.worker = await self._sealane.start("worker", "attest", "--data", str(self.data))
        async with connect_as("operator", self.data) as connection:
            publisher = Publisher(connection)
            await publisher.start()
            body = json.dumps({"image": self.image, "digest": self.digest})
            await enter(connection, publisher, check("image.pushed", body, source="/tests", event_id="1", actor="t"))
            await publisher.close()
        return self.worker

    async def attest(self) -> Finished:
        """Attest the same image by hand."""
        return await self._sealane("attest", self.image, "--json", "--data", str(self.data))

    async def stored(self) -> tuple[Attestation, ...]:
        """Return the attestations at their source."""
        async with Clouds(load_settings(self.data)) as clouds:
            attestations: Attestations = await clouds.port(Attestations)
            return await attestations.find(self.world.names.note, self.digest)

    async def is_creating(self) -> bool:
        """Whether the claim says that somebody began to create."""
        names = self.world.names
        key = f"{names.note}|//cloudkms.googleapis.com/v1/{names.key}|{self.digest}"
        async with connect_as("operator", self.data) as connection:
            claim, _ = await ClaimsBucket(connection, Publisher(connection), "attest").read(key)
            return claim is not None and claim.step == "create"

    async def is_announced(self) -> bool:
        """Whether the worker emitted its event."""
        async with connect_as("operator", self.data) as connection:
            info = await connection.client.jetstream().stream_info("EVENTS", subjects_filter="image.attested")
            return bool(info.state.subjects)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Start the world, push the image, and clean up whatever is left of the worker."""
    async with World(WorldFolder(tmp_path / "world"), with_workers=False) as world:
        image = f"{world.endpoints['registry']}/apps/shop:1"
        scene = Scene(world, image, await push_image(world.folder, image, "hello"))
        yield scene
        if scene.worker is not None and scene.worker.returncode is None:
            scene.worker.kill()
        if scene.worker is not None:
            _, said = await scene.worker.communicate()
            print("the worker said:", said.decode())  # shown when a test fails


async def test_a_worker_killed_before_it_heard_of_its_create_leaves_one_attestation(scene: Scene) -> None:
    """Kill -9 while the answer is on its way: the next one finds what was stored, though lists lag."""
    await scene.faults(late={"CreateOccurrence": 30}, lag={"list": 1.0})
    worker = await scene.start_worker()
    await eventually(lambda: _is_true(scene.stored), "stored")
    worker.send_signal(signal.SIGKILL)
    await worker.wait()

    done = await scene.attest()
    assert done.code == 0, done.err
    (stored,) = await scene.stored()
    assert [(line["occurrence"], line["created"]) for line in done.lines] == [(stored.name, False)]


async def test_a_worker_paused_past_its_lease_and_woken_leaves_one_attestation(scene: Scene) -> None:
    """Stopped with the create on the wire; another takes over, looks, waits, looks; then the first wakes up."""
    await scene.faults(delay={"CreateOccurrence": 1.5}, lag={"list": 1.0})
    worker = await scene.start_worker()
    await eventually(scene.is_creating, "creating")
    worker.send_signal(signal.SIGSTOP)

    done = await scene.attest()
    worker.send_signal(signal.SIGCONT)
    assert done.code == 0, done.err
    await eventually(scene.is_announced, "the woken worker announces what is there")
    (stored,) = await scene.stored()
    assert [line["occurrence"] for line in done.lines] == [stored.name]


async def _is_true(look: Callable[[], Awaitable[object]]) -> bool:
    return bool(await look())
