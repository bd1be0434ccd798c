"""How fast each worker is: results a minute over the last five minutes, as this process heard them."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from workers.bus.doors.fanout import EVERY_RUN, Fanout, Said, ended
from workers.bus.doors.steady import steadily

BUCKETS, BUCKET_SECONDS = 30, 10.0
_PATIENCE = 15.0


@dataclass(slots=True)
class Bucket:
    """What became of events in some seconds."""

    number: int
    done: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the picture: place and heights in a picture of 90 by 20."""

    x: float
    height: float
    bad: bool


class Pace:
    """Counts what it hears. `start()` before, `await close()` after. `clock` is monotonic, in seconds."""

    def __init__(self, fanout: Fanout, clock: Callable[[], float] = time.monotonic) -> None:
        self._fanout = fanout
        self._clock = clock
        self._began = clock()
        self._heard: dict[str, deque[Bucket]] = {}
        self._counting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to count."""
        self._counting = asyncio.create_task(steadily(self._count, "the pace of workers"), name="pace of workers")

    async def close(self) -> None:
        """Count no more."""
        if self._counting is not None:
            await ended(self._counting)

    async def _count(self) -> None:
        with self._fanout.watch(EVERY_RUN) as watch:
            while not watch.closed:
                said = await watch.next(_PATIENCE)
                if said is not None:
                    self.hear(said)
                elif watch.behind:
                    # What came faster than it can be counted is left out: a rate, not a record.
                    watch.caught_up()

    def hear(self, said: Said) -> None:
        """Count a message if it ends a handling for good."""
        message = said.message
        if message is None or message.outcome not in {"done", "dead"}:
            return
        number = int(self._clock() / BUCKET_SECONDS)
        buckets = self._heard.setdefault(message.worker, deque(maxlen=BUCKETS))
        if not buckets or buckets[-1].number != number:
            buckets.append(Bucket(number))
        bucket = buckets[-1]
        bucket.done += message.outcome == "done"
        bucket.dead += message.outcome == "dead"

    def per_minute(self, worker: str) -> float:
        """Return the events a minute that a worker ended, over the last five minutes or since the start."""
        minutes = min(BUCKETS * BUCKET_SECONDS, max(BUCKET_SECONDS, self._clock() - self._began)) / 60
        return sum(bucket.done + bucket.dead for bucket in self._recent(worker)) / minutes

    def bars(self, worker: str) -> list[Bar]:
        """Return the picture of the last five minutes, those with a dead letter marked."""
        recent, newest = self._recent(worker), int(self._clock() / BUCKET_SECONDS)
        most = max((bucket.done + bucket.dead for bucket in recent), default=0)
        return [
            Bar(
                x=3.0 * (BUCKETS - 1 - newest + bucket.number),
                height=max(1.0, round(20 * (bucket.done + bucket.dead) / most, 1)),
                bad=bucket.dead > 0,
            )
            for bucket in recent
        ]

    def _recent(self, worker: str) -> list[Bucket]:
        oldest = int(self._clock() / BUCKET_SECONDS) - BUCKETS + 1
        return [bucket for bucket in self._heard.get(worker, ()) if bucket.number >= oldest]
