"""Kill -9 of the bridge and of the bus while messages of Google's Pub/Sub emulator cross: what was lost or doubled.

`python -m tests.bench.bridge [--messages 100000] [--kills 2] [--away 60] [--seed S]`. Exits with 0 only if there is
exactly one event on the bus for each message, nothing is left in Pub/Sub, and the bridge's memory stayed flat.
"""

import asyncio
import random
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import nats.errors
import psutil
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import Error as JetStreamError
from pydantic_core import from_json

from schemas.images import ImagePushed
from tests.bench.figures import print_facts
from tests.bench.notifications import Notifications, digest, notifications, start_bridge
from tests.bench.plans import option, play
from tests.bench.processes import ended, last_words
from tests.bench.stage import empty_stage
from workers.bus.rooms import wiring
from workers.bus.topology.streams import DEAD, EVENTS
from workers.bus.transport.connection import Connection, connect
from workers.local.nats import NatsServer

PATIENCE = 180.0
"""Seconds without any progress after which the run has failed."""
LEASE = 10
"""Seconds, the least there is: the emulator notices late that a stream is dead, and leases messages to it meanwhile."""
GROWTH = 64.0
"""MiB that a bridge may take beyond what it had with the first messages in hand."""
_MIB = 1024**2
_POLL = 0.1
_FETCH = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen."""

    messages: int = option(100_000, "messages in all")
    kills: int = option(2, "kill -9 of the bridge, and as many of the bus")
    away: float = option(60.0, "seconds that the bus stays away after its first end; else it comes back at once")
    seed: int = option(1, "of the same kills", drawn=True)

    def kill_points(self) -> list[tuple[int, str]]:
        """Return who is killed once how many events are there: spread over the work, never two at one point."""
        chance = random.Random(self.seed)  # noqa: S311 - a repeatable plan
        victims = ["bridge", "bus"] * self.kills
        chance.shuffle(victims)
        share = self.messages / (len(victims) + 1)
        return [(int(share * (n + 0.5 + 0.8 * chance.random())), victim) for n, victim in enumerate(victims)]


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of one bridge, in MiB, sampled while it had messages in hand."""

    seconds: float
    first: float
    most: float
    last: float


@dataclass(frozen=True, slots=True)
class Report:
    """What happened."""

    plan: Plan
    events: int
    distinct: int
    """Different images among the events."""
    lost: int
    strange: int
    """Events of images that were never published."""
    dead: int
    left: int
    """Messages still in Pub/Sub after the bridge has ended."""
    killed: tuple[str, ...]
    memory: tuple[Memory, ...]
    seconds: float

    @property
    def doubled(self) -> int:
        """Events beyond one per message."""
        return self.events - self.distinct

    @property
    def grew(self) -> float:
        """MiB by which a bridge grew at most."""
        return max((one.most - one.first for one in self.memory), default=0.0)

    @property
    def holds(self) -> bool:
        """Whether every promise was kept, and everybody was killed who should be."""
        broken = self.lost + self.doubled + self.strange + self.dead + self.left
        return broken == 0 and len(self.killed) == 2 * self.plan.kills and self.grew <= GROWTH


class Scales:
    """Weighs one bridge after the other."""

    def __init__(self) -> None:
        self.found: list[Memory] = []
        self._samples: list[tuple[float, float]] = []

    def sample(self, process: Process) -> None:
        """Weigh it now."""
        with suppress(psutil.NoSuchProcess):
            self._samples.append((time.monotonic(), psutil.Process(process.pid).memory_info().rss / _MIB))

    def next(self) -> None:
        """Begin with another bridge."""
        samples, self._samples = self._samples, []
        if samples:
            sizes = [size for _, size in samples]
            self.found.append(Memory(samples[-1][0] - samples[0][0], sizes[0], max(sizes), sizes[-1]))


class Crossing:
    """One run in a folder."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.killed: list[str] = []
        self.scales = Scales()
        self._folder = folder
        self._log = folder / "bridge.log"

    async def run(self) -> Report:
        """Publish, kill, wait until all is carried, and count. Raises TimeoutError when nothing moves."""
        began = time.monotonic()
        with notifications(self._folder) as waiting:
            [self._subscription] = waiting.subscriptions(1)
            async with empty_stage([wiring("bridge")], self._folder / "nats") as server:
                admin = await connect(server.url, identity="provisioner", first_wait=30)
                publishing = asyncio.create_task(
                    asyncio.to_thread(waiting.publish, self._subscription, range(self.plan.messages))
                )
                self._bridge = await self._start(waiting, server)
                try:
                    await self._wreak_havoc(waiting, server, admin)
                    await publishing
                    await self._until(admin, self.plan.messages)
                except TimeoutError:
                    raise TimeoutError(f"nothing moves any more; the bridge said: {last_words(self._log)}") from None
                finally:
                    await publishing
                    await ended(self._bridge)
                self.scales.next()
                left = await asyncio.to_thread(waiting.left, self._subscription)
                found, dead = await _images(admin), (await admin.client.jetstream().stream_info(DEAD)).state.messages
                await admin.close()
        return self._report(found, dead, left, time.monotonic() - began)

    async def _start(self, waiting: Notifications, server: NatsServer) -> Process:
        return await start_bridge(waiting.address, server.url, [self._subscription], self._log, lease=LEASE)

    async def _wreak_havoc(self, waiting: Notifications, server: NatsServer, admin: Connection) -> None:
        for point, victim in self.plan.kill_points():
            await self._until(admin, point)
            if victim == "bus":
                away = 0.0 if any(one.startswith("bus") for one in self.killed) else self.plan.away
                await server.kill()
                await self._watch(away)
                await server.start()
                self.killed.append(f"bus at {point}, away for {away:.0f} s")
            else:
                self._bridge.kill()
                await self._bridge.wait()
                self.scales.next()
                self._bridge = await self._start(waiting, server)
                self.killed.append(f"bridge at {point}")

    async def _watch(self, seconds: float) -> None:
        """Weigh the bridge for so long, with nothing going on."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.scales.sample(self._bridge)
            await asyncio.sleep(_POLL)

    async def _until(self, admin: Connection, count: int) -> None:
        """Wait until so many events are stored. Raises TimeoutError when no more come for long."""
        last, changed = None, time.monotonic()
        while (now := await _stored(admin)) is None or now < count:
            if now is not None and now != last:
                if last is not None:  # it carries: what it weighs before its first message is its start
                    self.scales.sample(self._bridge)
                last, changed = now, time.monotonic()
            elif time.monotonic() - changed > PATIENCE:
                raise TimeoutError
            await asyncio.sleep(_POLL)

    def _report(self, found: list[str], dead: int, left: int, seconds: float) -> Report:
        wanted = {digest(number) for number in range(self.plan.messages)}
        images = Counter(found)
        return Report(
            plan=self.plan,
            events=len(found),
            distinct=len(images),
            lost=len(wanted - images.keys()),
            strange=len(images.keys() - wanted),
            dead=dead,
            left=left,
            killed=tuple(self.killed),
            memory=tuple(self.scales.found),
            seconds=seconds,
        )


async def _stored(admin: Connection) -> int | None:
    """Count the events; None while the bus does not answer."""
    try:
        return (await admin.client.jetstream(timeout=2).stream_info(EVENTS)).state.messages
    except (nats.errors.Error, JetStreamError):
        return None


async def _images(admin: Connection) -> list[str]:
    """Return the digest of each event, read from the bus."""
    js = admin.client.jetstream()
    expected = (await js.stream_info(EVENTS)).state.messages
    config = ConsumerConfig(ack_policy=AckPolicy.NONE)
    subscription = await js.pull_subscribe(ImagePushed.event_type, stream=EVENTS, config=config)
    found: list[str] = []
    while len(found) < expected:
        found += [from_json(message.data)["digest"] for message in await subscription.fetch(_FETCH, timeout=10)]
    await subscription.unsubscribe()
    return found


def show(report: Report) -> None:
    """Print what happened."""
    rows: Sequence[tuple[str, object]] = (
        ("messages", f"{report.plan.messages:,} published to Google's Pub/Sub emulator"),
        ("kill -9", "; ".join(report.killed)),
        ("seed", report.plan.seed),
        ("events on the bus", f"{report.events:,}"),
        ("distinct", f"{report.distinct:,}"),
        ("lost", report.lost),
        ("doubled", report.doubled),
        ("of no message", report.strange),
        ("dead letters", report.dead),
        ("left in Pub/Sub", report.left),
        *((f"memory of bridge {number}", _weight(one)) for number, one in enumerate(report.memory, 1)),
        ("seconds", f"{report.seconds:.1f}"),
        ("all promises kept", "yes" if report.holds else "NO"),
    )
    print_facts("bridge", rows)


def _weight(one: Memory) -> str:
    first, most, last = (f"{size:.0f} MiB" for size in (one.first, one.most, one.last))
    return f"{first} with the first messages, {most} at most, {last} at its end, {one.seconds:.0f} s later"


async def run(plan: Plan) -> Report:
    """Run once in a folder that is gone afterwards."""
    with TemporaryDirectory(prefix="sealane-bridge-") as folder:
        return await Crossing(plan, Path(folder)).run()


if __name__ == "__main__":
    play("tests.bench.bridge", __doc__, Plan, run, show)
