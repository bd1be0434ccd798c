"""Replicas of `attest` are killed, and paused past their leases, while images come again and again.

`python -m tests.bench.replicas [--images 300] [--replicas 3] [--every 2] [--seed S]`. Exits with 0 only if there is
exactly one attestation per image, counted by the API and, where it is installed, by gcloud.
"""

import asyncio
import json
import random
import shutil
import signal
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from schemas.images import ImageAttested
from tests.bench.census import tally
from tests.bench.figures import print_facts
from tests.bench.plans import option, play
from tests.bench.processes import ended, output_of
from tests.bench.world import LocalWorld, local_world
from workers.app.connecting import connect_as
from workers.bus.doors.follow import follow
from workers.bus.topology.streams import EVENTS

LEASE = 3.0
"""Seconds that a claim stays with a silent replica; short, so that a pause can outlast it."""
PAUSE = LEASE + 1.5
PATIENCE = 180.0
_ATTEST = "attest"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen."""

    images: int = option(300, "images in all")
    replicas: int = option(3, "processes of the worker")
    every: float = option(2.0, "seconds between disturbances")
    pace: float = option(0.15, "seconds between one image and the next, so that there is work while replicas go")
    seed: int = option(1, "of the same disturbances", drawn=True)
    strikes: int | None = option(None, "how many are killed or paused; without it until all is done", kind=int)


@dataclass(frozen=True, slots=True)
class Report:
    """What happened."""

    plan: Plan
    by_api: int
    by_gcloud: int | None
    """None where there is no gcloud."""
    images_with_one: int
    attested_events: int
    dangling: int
    """Events that name an attestation which is not there."""
    dead: tuple[str, ...]
    """Why each dead letter is one."""
    killed: int
    paused: int
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether there is exactly one attestation per image, whoever counts, and somebody was disturbed.

        A message whose process we killed again and again while it ran alone may be taken for the culprit: the crash
        fuse makes it a dead letter, and rightly so. No other dead letter is allowed.
        """
        wanted = self.plan.images
        counts = {self.by_api, self.images_with_one, wanted if self.by_gcloud is None else self.by_gcloud}
        fused = all(reason.startswith("crash") for reason in self.dead)
        return counts == {wanted} and fused and not self.dangling and self.killed + self.paused > 0


class Replicas:
    """Replicas of `sealane worker attest`, one of which is always being killed or paused."""

    def __init__(self, world: LocalWorld, plan: Plan, logs: Path) -> None:
        self.killed = self.paused = 0
        self._world = world
        self._plan = plan
        self._logs = logs
        self._started = 0
        self._chance = random.Random(plan.seed)  # noqa: S311 - a repeatable plan
        self._awake: list[Process] = []
        self._asleep: dict[Process, float] = {}
        self._coming: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start all of them."""
        await asyncio.gather(*(self._one_more() for _ in range(self._plan.replicas)))

    async def disturb(self, done: asyncio.Event) -> None:
        """Kill or pause one every so often, until all work is done; each is replaced or goes on."""
        while not done.is_set():
            try:
                await asyncio.wait_for(done.wait(), self._plan.every)
            except TimeoutError:
                await self._strike(self._plan.strikes)

    async def stop(self) -> None:
        """Wake and end all of them. Raises NotReadyError when one that should have come did not."""
        came = await asyncio.gather(*self._coming, return_exceptions=True)
        for process in self._asleep:
            process.send_signal(signal.SIGCONT)
        await asyncio.gather(*(ended(process) for process in (*self._awake, *self._asleep)))
        for failure in came:
            if failure is not None:
                raise failure

    async def _strike(self, at_most: int | None) -> None:
        now = time.monotonic()
        for process in [process for process, until in self._asleep.items() if now >= until]:
            del self._asleep[process]
            process.send_signal(signal.SIGCONT)
            self._awake.append(process)
        if len(self._awake) < 2 or self.killed + self.paused == at_most:
            return
        victim = self._awake.pop(self._chance.randrange(len(self._awake)))
        if (self.killed + self.paused) % 2:
            victim.send_signal(signal.SIGSTOP)
            self._asleep[victim] = now + PAUSE
            self.paused += 1
        else:
            victim.kill()
            await victim.wait()
            self.killed += 1
            self._coming.append(asyncio.create_task(self._one_more()))

    async def _one_more(self) -> None:
        self._started += 1
        environment = {"SEALANE_LEASE": f"PT{LEASE:g}S"}
        process, _ = await self._world.start_worker(self._logs / f"worker-{self._started}.log", environment)
        self._awake.append(process)


async def run(plan: Plan) -> Report:
    """Publish and disturb until the last event is done; count then. Raises TimeoutError when nothing moves."""
    async with local_world() as world:
        with TemporaryDirectory(prefix="sealane-replicas-") as logs:
            images = await world.push_images("shop", plan.images, tags=("1", "2"))
            replicas = Replicas(world, plan, Path(logs))
            await replicas.start()
            started = time.monotonic()
            done = asyncio.Event()
            disturbing = asyncio.create_task(replicas.disturb(done))
            try:
                await _publish(world, images, plan.pace)
                await _until_done(world)
                seconds = time.monotonic() - started
            finally:
                done.set()
                await disturbing
                await replicas.stop()
        return await _count(world, plan, images, replicas, seconds)


async def _publish(world: LocalWorld, images: Sequence[tuple[str, str]], pace: float) -> None:
    """Say of each image that it was pushed; again under the same id, under a new one, and under another tag."""
    for number, (repository, _) in enumerate(images):
        await asyncio.gather(
            world.publish(repository, event_id=f"{number}"),
            world.publish(repository, event_id=f"{number}"),
            world.publish(repository, event_id=f"{number}-again"),
            world.publish(repository, event_id=f"{number}-tag", tag="2"),
        )
        await asyncio.sleep(pace)


async def _until_done(world: LocalWorld) -> None:
    """Wait until nothing waits, is held or is scheduled."""
    async with connect_as("provisioner", world.folder) as admin:
        last, changed = None, time.monotonic()
        while (now := await tally(admin.client, _ATTEST)) is None or now.left:
            if now is not None and now != last:
                last, changed = now, time.monotonic()
            elif time.monotonic() - changed > PATIENCE:
                raise TimeoutError(f"nothing moves any more: {last}")
            await asyncio.sleep(0.1)


async def _count(
    world: LocalWorld,
    plan: Plan,
    images: Sequence[tuple[str, str]],
    replicas: Replicas,
    seconds: float,
) -> Report:
    occurrences = await world.occurrences()
    each = Counter(occurrence["resourceUri"].rpartition("@")[2] for occurrence in occurrences)
    names = {occurrence["name"] for occurrence in occurrences}
    events = [
        ImageAttested.model_validate_json(stored.body)
        async for stored in follow(world.connection, EVENTS, ImageAttested.event_type, live=False)
    ]
    return Report(
        plan=plan,
        by_api=len(occurrences),
        by_gcloud=await _by_gcloud(world) if shutil.which("gcloud") else None,
        images_with_one=sum(each[digest] == 1 for _, digest in images),
        attested_events=len(events),
        dangling=sum(event.occurrence not in names for event in events),
        dead=tuple(await world.dead_letters()),
        killed=replicas.killed,
        paused=replicas.paused,
        seconds=seconds,
    )


async def _by_gcloud(world: LocalWorld) -> int:
    listed = await output_of(
        *("gcloud", "container", "binauthz", "attestations", "list"),
        f"--attestor={world.endpoints['attestor']}",
        "--format=json",
        environment=world.shell(),
    )
    return len(json.loads(listed))


def show(report: Report) -> None:
    """Print what happened."""
    plan = report.plan
    gcloud = "no gcloud here" if report.by_gcloud is None else report.by_gcloud
    rows = (
        ("images", f"{plan.images}, each published, then again: same id, new id, other tag"),
        ("replicas", f"{plan.replicas} processes `sealane worker attest`, lease {LEASE:g} s"),
        ("every", f"{plan.every:g} s one is killed with -9, or paused for {PAUSE:g} s; seed {plan.seed}"),
        ("killed, paused", f"{report.killed}, {report.paused}"),
        ("attestations, by the API", report.by_api),
        ("attestations, by gcloud", gcloud),
        ("images with exactly one", report.images_with_one),
        ("image.attested events", f"{report.attested_events}, of which name what is not there: {report.dangling}"),
        ("dead letters", "\n".join(report.dead) or "none"),
        ("seconds", f"{report.seconds:.1f}"),
        ("exactly one each", "yes" if report.holds else "NO"),
    )
    print_facts("replicas", rows)


if __name__ == "__main__":
    play("tests.bench.replicas", __doc__, Plan, run, show)
