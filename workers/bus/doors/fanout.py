"""One subscription of PROGRESS for a whole process, fanned out to whoever follows a run.

A watch holds little: when its follower does not keep up, or the stream began anew, it only says so, and the follower
reads on from the stream, where nothing is lost. So one that is slow costs no memory and slows nobody else.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import cached_property

from schemas.progress import ProgressMessage
from workers.bus.doors.follow import follow, last_sequence, read_progress
from workers.bus.doors.steady import steadily
from workers.bus.topology.streams import PROGRESS
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import JetStreamApi
from workers.bus.transport.stored import Stored, read_page
from workers.failures import SealaneError, Unavailable

log = logging.getLogger(__name__)
_AGAIN = 1.0
"""Seconds between looks at a bus that is away."""
EVERY_RUN = "*"
"""Watched, it gives all that is said."""
_MOST = 256
"""Messages that wait in a watch."""


@dataclass(frozen=True)
class Said:
    """A message of PROGRESS at its sequence, read once for all who follow its run."""

    stored: Stored

    @property
    def sequence(self) -> int:
        """Its sequence in PROGRESS."""
        return self.stored.sequence

    @cached_property
    def message(self) -> ProgressMessage | None:
        """What is said, or None when this version cannot read it."""
        return read_progress(self.stored)

    @cached_property
    def json(self) -> bytes:
        """The message as one line of JSON, with its sequence."""
        message = self.message
        body = b"{}" if message is None else message.model_dump_json(exclude_defaults=True).encode()
        return b'{"sequence":%d,%b' % (self.sequence, body[1:])


class Watch:
    """What comes of one run while it is watched."""

    def __init__(self) -> None:
        self._waiting: deque[Said] = deque()
        self._rung = asyncio.Event()
        self.behind = False
        """Whether something came that is not held here: read the stream, then call `caught_up`."""
        self.reset = False
        """Whether the stream began anew at sequence 1."""
        self.closed = False
        """Whether nothing will come any more: the door closes."""

    def put(self, said: Said) -> None:
        """Hold what came, unless too much is held already."""
        if len(self._waiting) >= _MOST:
            self.fall_behind()
        elif not self.behind:
            self._waiting.append(said)
        self._rung.set()

    def fall_behind(self) -> None:
        """Say that the stream must be read."""
        self._waiting.clear()
        self.behind = True
        self._rung.set()

    def begin_anew(self) -> None:
        """Say that the stream began anew."""
        self.reset = True
        self.fall_behind()

    def caught_up(self) -> None:
        """Hold again what comes, from now on: call it before the stream is read."""
        self._waiting.clear()
        self.behind = self.reset = False

    def close(self) -> None:
        """Say that nothing will come any more."""
        self.closed = True
        self._rung.set()

    async def next(self, patience: float) -> Said | None:
        """Return what came next, or None after `patience` seconds, or when this watch is behind or closed."""
        if not (self._waiting or self.behind or self.closed):
            self._rung.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._rung.wait()
        return self._waiting.popleft() if self._waiting else None


class Fanout:
    """Follows PROGRESS once. `start()` before, `await close()` after."""

    def __init__(self, connection: Connection) -> None:
        self.position = 0
        """The last sequence that was fanned out."""
        self._connection = connection
        self._watches: dict[str, set[Watch]] = {}
        self._following: asyncio.Task[None] | None = None
        self._closed = False

    def start(self) -> None:
        """Begin with what comes next, as soon as the bus is there."""
        self._following = asyncio.create_task(steadily(self._follow, "following PROGRESS"), name="follow PROGRESS")

    async def close(self) -> None:
        """Follow no more, and close what is watched, now and later."""
        self._closed = True
        for watch in self._all():
            watch.close()
        if self._following is not None:
            await ended(self._following)

    @property
    def watches(self) -> int:
        """How many watches there are."""
        return len(self._all())

    @contextmanager
    def watch(self, run: str) -> Iterator[Watch]:
        """Watch a run: whatever is stored from now on comes, or the watch says that it is behind."""
        watch = Watch()
        watch.closed = self._closed
        self._watches.setdefault(run, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[run]
            watches.discard(watch)
            if not watches:
                del self._watches[run]

    def _all(self) -> list[Watch]:
        return [watch for watches in self._watches.values() for watch in watches]

    async def _begin(self) -> None:
        """Wait for the bus; whoever began to watch before reads what came meanwhile."""
        while True:
            try:
                self.position = await last_sequence(self._connection, PROGRESS)
            except SealaneError as error:
                log.info("runs are not followed yet: %s", error)
                await asyncio.sleep(_AGAIN)
            else:
                break
        for watch in self._all():
            watch.fall_behind()

    async def _follow(self) -> None:
        await self._begin()
        start = self.position + 1
        async with aclosing(follow(self._connection, PROGRESS, "progress.>", start=start)) as messages:
            async for stored in messages:
                if stored.sequence <= self.position:
                    for watch in self._all():
                        watch.begin_anew()
                self.position = stored.sequence
                said = Said(stored)
                for name in (stored.subject.rpartition(".")[2], EVERY_RUN):
                    for watch in self._watches.get(name, ()):
                        watch.put(said)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The first and the last sequence that PROGRESS has; the first is one more than the last when it is empty."""

    first: int
    last: int
    seconds: float | None = None
    """How long a message is kept; None is for ever."""
    messages: int | None = None
    """How many are kept of what one worker says in one run; None is all."""


async def bounds(connection: Connection) -> Bounds:
    """Return what PROGRESS holds. Raises Unavailable, Denied."""
    info = await JetStreamApi(connection).stream(PROGRESS)
    if info is None:
        raise Unavailable(f"there is no stream {PROGRESS}: `sealane streams apply` makes it")
    state, config = info["state"], info["config"]
    most, age = config.get("max_msgs_per_subject", -1), config.get("max_age", 0)
    return Bounds(
        first=int(state["first_seq"]),
        last=int(state["last_seq"]),
        seconds=age / 1e9 if age else None,
        messages=most if most > 0 else None,
    )


async def said_of(connection: Connection, run: str, *, start: int = 1) -> AsyncGenerator[Said, None]:
    """Yield what is stored of a run from a sequence on. Raises Unavailable, Denied."""
    pending = 1
    while pending:
        page = await read_page(connection, PROGRESS, subject=f"progress.*.{run}", start=start)
        for stored in page.messages:
            start = stored.sequence + 1
            yield Said(stored)
        pending = page.pending if page.messages else 0


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task until it is over: before Python 3.12 `asyncio.wait_for`, which nats-py uses, may swallow one."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_AGAIN)
