"""Kill -9 of the worker and of the server while events run: what was lost, what was doubled.

`python -m tests.bench.chaos [--events 8000] [--transient 0.01] [--poison 0.005] [--kills 3] [--seed S]`. Exits with 0
only if nothing was lost, nothing was doubled, and the dead letters are exactly the poison, each once.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from schemas.images import ImagePushed
from tests.bench.census import Census, Tally, census, tally
from tests.bench.chaos_settings import ACK_WAIT, CONCURRENCY, PREFETCH, WORK_SECONDS, chaotic
from tests.bench.figures import print_facts
from tests.bench.plans import option, play
from tests.bench.processes import ended, last_words, spawn
from tests.bench.stage import empty_stage
from tests.bench.traffic import attest, envelope, pushed
from workers.bus.transport.connection import Connection, connect
from workers.bus.transport.publisher import Publisher
from workers.failures import Unavailable
from workers.local.nats import NatsServer

PATIENCE = 180.0
"""Seconds without any progress after which the run has failed."""
_POLL = 0.01
_IN_FLIGHT = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen."""

    events: int = option(8000, "events in all")
    transient: float = option(0.01, "share of events that fail once")
    poison: float = option(0.005, "share of events that always fail")
    kills: int = option(3, "kill -9 of the worker, and as many of the server")
    seed: int = option(1, "of the same fates and kills", drawn=True)

    def fates(self) -> list[str]:
        """Return what becomes of each event."""
        fates = ["poison"] * round(self.events * self.poison) + ["transient"] * round(self.events * self.transient)
        fates += ["fine"] * (self.events - len(fates))
        random.Random(self.seed).shuffle(fates)  # noqa: S311 - a repeatable plan
        return fates

    def kill_points(self, work: int) -> list[tuple[int, str]]:
        """Return who is killed once how many follow-ups are there: spread over the work, never two at one point."""
        chance = random.Random(self.seed + 1)  # noqa: S311 - a repeatable plan
        victims = ["worker", "server"] * self.kills
        chance.shuffle(victims)
        share = work / (len(victims) + 1)
        return [(int(share * (n + 0.5 + 0.8 * chance.random())), victim) for n, victim in enumerate(victims)]


@dataclass(frozen=True, slots=True)
class Report:
    """What happened."""

    plan: Plan
    lost: int
    """Events which should have a follow-up and have none."""
    duplicates: int
    """Follow-ups beyond one per event."""
    unexpected: int
    """Follow-ups of poison, dead letters of anything else, and dead letters beyond one per event."""
    missing_dead: int
    """Poison without its dead letter."""
    dead: int
    calls: int
    """Handler calls, in all processes."""
    seconds: float
    killed: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every promise was kept, and everybody was killed who should be."""
        broken = self.lost + self.duplicates + self.unexpected + self.missing_dead
        return broken == 0 and len(self.killed) == 2 * self.plan.kills


class Run:
    """One chaos run in a folder."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.fates = plan.fates()
        self.killed: list[str] = []
        self._folder = folder
        self._calls = folder / "calls"
        self._errors = folder / "worker.log"

    async def run(self) -> Report:
        """Publish, kill, wait until nothing is left to do, and count. Raises TimeoutError when nothing moves."""
        started = time.monotonic()
        async with empty_stage([chaotic(attest)], self._folder / "nats") as server:
            admin = await connect(server.url, identity="provisioner", first_wait=30)
            publishing = asyncio.create_task(self._publish(server.url))
            self._worker = await self._start_worker(server)
            try:
                await self._wreak_havoc(server, admin)
                await publishing
                found = await self._settled(admin)
            except TimeoutError:
                raise TimeoutError(f"nothing moves any more; the worker said: {last_words(self._errors)}") from None
            finally:
                publishing.cancel()
                await ended(self._worker)
                await admin.close()
        return self._report(found, time.monotonic() - started)

    async def _start_worker(self, server: NatsServer) -> asyncio.subprocess.Process:
        return await spawn("-m", "tests.bench.sides.fragile", server.url, str(self._calls), errors=self._errors)

    async def _publish(self, url: str) -> None:
        """Publish all events through every outage, each under its id until it is stored."""
        connection = await connect(url, identity="bridge", first_wait=30)
        publisher = Publisher(connection)
        await publisher.start()
        slots = asyncio.Semaphore(_IN_FLIGHT)

        async def publish(number: int, fate: str) -> None:
            plain = pushed(number)
            event = plain.model_copy(update={"labels": plain.labels | {"fate": fate}})
            about = envelope(number, event)
            async with slots:
                while True:
                    try:
                        await publisher.publish(
                            ImagePushed.event_type,
                            event.model_dump_json().encode(),
                            about.headers(),
                            message_id=about.message_id,
                        )
                    except Unavailable:
                        continue
                    return

        try:
            async with asyncio.TaskGroup() as group:
                for number, fate in enumerate(self.fates):
                    group.create_task(publish(number, fate))
        finally:
            await publisher.close()
            await connection.close()

    async def _wreak_havoc(self, server: NatsServer, admin: Connection) -> None:
        for point, victim in self.plan.kill_points(self._work()):
            await self._until(admin, partial(_has_come_to, point))
            if victim == "server":
                await server.kill()
                await server.start()
            else:
                self._worker.kill()
                await self._worker.wait()
                self._worker = await self._start_worker(server)
            self.killed.append(f"{victim} at {point}")

    async def _until(self, admin: Connection, there: Callable[[Tally], bool]) -> None:
        """Wait for a state of affairs. Raises TimeoutError when nothing changes for long."""
        last, changed = None, time.monotonic()
        while (now := await tally(admin.client)) is None or not there(now):
            if now is not None and now != last:
                last, changed = now, time.monotonic()
            elif time.monotonic() - changed > PATIENCE:
                raise TimeoutError
            await asyncio.sleep(_POLL)

    async def _settled(self, admin: Connection) -> Census:
        """Wait until nothing waits, is held or is scheduled, and everything was answered or buried; count then."""
        poison = self.fates.count("poison")
        await self._until(admin, lambda now: now.left == 0 and now.follow_ups >= self._work() and now.dead >= poison)
        return await census(admin.client)

    def _work(self) -> int:
        return self.plan.events - self.fates.count("poison")

    def _report(self, found: Census, seconds: float) -> Report:
        ids = {envelope(number, pushed(number)).message_id: fate for number, fate in enumerate(self.fates)}
        poison = {about for about, fate in ids.items() if fate == "poison"}
        answered, dead = Counter(found.causes), Counter(found.buried)
        return Report(
            plan=self.plan,
            lost=len(ids.keys() - poison - answered.keys()),
            duplicates=_surplus(answered),
            unexpected=len(answered.keys() & poison) + len(dead.keys() - poison) + _surplus(dead),
            missing_dead=len(poison - dead.keys()),
            dead=sum(dead.values()),
            calls=len(self._calls.read_bytes().splitlines()),
            seconds=seconds,
            killed=tuple(self.killed),
        )


def _has_come_to(point: int, now: Tally) -> bool:
    return now.follow_ups >= point


def _surplus(found: Counter[str]) -> int:
    return sum(found.values()) - len(found)


def show(report: Report) -> None:
    """Print settings and figures."""
    plan, transient = report.plan, round(report.plan.events * report.plan.transient)
    rows: Sequence[tuple[str, object]] = (
        ("events", f"{plan.events}: {transient} fail once, {report.plan.fates().count('poison')} are poison"),
        ("kill -9", ", ".join(report.killed)),
        ("settings", f"ack_wait {ACK_WAIT.total_seconds():.0f} s, concurrency {CONCURRENCY}, prefetch {PREFETCH}"),
        ("", f"a handling takes {WORK_SECONDS * 1000:.0f} ms; file store, sync_interval 1s, one replica"),
        ("seed", plan.seed),
        ("lost", report.lost),
        ("duplicates", report.duplicates),
        ("dead letters", f"{report.dead} ({report.missing_dead} missing)"),
        ("not as expected", report.unexpected),
        ("handler calls", f"{report.calls}: {report.calls - plan.events - transient} repeats were absorbed"),
        ("seconds", f"{report.seconds:.1f}"),
        ("all promises kept", "yes" if report.holds else "NO"),
    )
    print_facts("chaos", rows)


async def run(plan: Plan) -> Report:
    """Run once in a folder that is gone afterwards."""
    with TemporaryDirectory(prefix="sealane-chaos-") as folder:
        return await Run(plan, Path(folder)).run()


if __name__ == "__main__":
    play("tests.bench.chaos", __doc__, Plan, run, show)
