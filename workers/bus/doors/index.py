"""All runs of PROGRESS, one row each, kept in memory: what is running, what failed, and since when.

A run that goes on is kept as it is merged; of one that is over, only its row stays (about half a kilobyte), so that
100,000 runs fit. When something more is said of such a run (a replay), it is read from the stream again.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from schemas.progress import ProgressMessage
from workers.bus.doors.fanout import EVERY_RUN, Bounds, Fanout, Said, Watch, bounds, ended
from workers.bus.doors.history import read_run
from workers.bus.doors.runs import AUDIT, Consumers, Run, RunState
from workers.bus.doors.steady import steadily
from workers.bus.topology.streams import PROGRESS
from workers.bus.transport.connection import Connection
from workers.bus.transport.stored import Page, read_page
from workers.failures import SealaneError

log = logging.getLogger(__name__)
_PAGE = 1024
_AGAIN = 1.0
_FORGET_INTERVAL = 10.0
"""Seconds between looks at what the stream no longer keeps."""
_WORST_FIRST = ("dead", "running", "retry", "waiting", "queued", "done")


@dataclass(slots=True)
class Row:
    """One run. Times in seconds since the epoch."""

    run: str
    sequence: int
    """Of the last message of it in PROGRESS."""
    state: RunState
    worker: str
    """Who has it, or spoke last of it."""
    step: str | None
    cause: str | None
    """Why it failed or waits, in one sentence."""
    dead: int | None
    """Where its dead letter is in DEAD."""
    started_at: float
    at: float
    """Since when it is in this state."""
    type: str
    subject: str | None
    source: str
    id: str
    actor: str | None

    def as_json(self) -> dict[str, object]:
        """Return the row as a JSON object, without what is unknown."""
        record = {name: getattr(self, name) for name in self.__slots__}
        record |= {"started_at": _time(self.started_at), "at": _time(self.at)}
        record["seconds"] = round(self.at - self.started_at, 6)
        return {name: value for name, value in record.items() if value is not None}


class Index:
    """The rows of all runs. `start()` before, `await close()` after. Everybody reads it, nobody waits for it."""

    def __init__(self, connection: Connection, fanout: Fanout, consumers: Consumers) -> None:
        self.loaded = asyncio.Event()
        """Whether all that the stream keeps was read."""
        self.closed = False
        """Whether nothing will be merged any more."""
        self.held: Bounds | None = None
        """What the stream held a moment ago, and how long it keeps it."""
        self._changed = asyncio.Condition()
        self._connection = connection
        self._fanout = fanout
        self._consumers = cache(lambda event_type: tuple(name for name in consumers(event_type) if name != AUDIT))
        self._rows: dict[str, Row] = {}
        self._open: dict[str, Run] = {}
        self._told: dict[str, _Told] = {}
        self._position = self._settled = 0
        self._again: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to read."""
        for work in (self._work, self._forget):
            self._tasks.append(asyncio.create_task(steadily(work, "the list of runs"), name="index of runs"))

    async def close(self) -> None:
        """Read no more, and let those who wait go."""
        self.closed = True
        await self._say()
        for task in self._tasks:
            await ended(task)

    def newest(self, *, before: int | None = None) -> Iterator[Row]:
        """Return the rows, newest word first, from before a sequence on."""
        rows = reversed(self._rows.values())
        return rows if before is None else (row for row in rows if row.sequence < before)

    def since(self, sequence: int) -> list[Row]:
        """Return the rows of which something was said after a sequence, oldest word first."""
        found = []
        for row in reversed(self._rows.values()):
            if row.sequence <= sequence:
                break
            found.append(row)
        return found[::-1]

    @property
    def position(self) -> int:
        """The last sequence whose rows are all as they shall be."""
        return self._settled

    async def wait(self, sequence: int, patience: float) -> bool:
        """Wait until something was merged after a sequence, or nothing will be; False after `patience` seconds."""
        try:
            async with asyncio.timeout(patience), self._changed:
                await self._changed.wait_for(lambda: self._settled != sequence or self.closed)
        except TimeoutError:
            return False
        return True

    async def _work(self) -> None:
        with self._fanout.watch(EVERY_RUN) as watch:
            while not watch.closed:
                try:
                    await self._catch_up(watch)
                    self.loaded.set()
                    await self._listen(watch)
                except SealaneError as error:
                    log.info("the list of runs stands still: %s", error)
                    await asyncio.sleep(_AGAIN)

    async def _catch_up(self, watch: Watch) -> None:
        if watch.reset:
            self._position = 0
            for kept in (self._rows, self._open, self._told):
                kept.clear()
        watch.caught_up()
        coming: asyncio.Task[Page] | None = asyncio.create_task(self._page(self._position + 1))
        try:
            while coming is not None:
                page = await coming
                # The next one is on its way while this one is merged.
                more = bool(page.pending and page.messages)
                coming = asyncio.create_task(self._page(page.messages[-1].sequence + 1)) if more else None
                for stored in page.messages:
                    self._merge(Said(stored))
                await self._say()
        finally:
            if coming is not None:
                coming.cancel()
        await self._read_again()

    async def _page(self, start: int) -> Page:
        return await read_page(self._connection, PROGRESS, subject="progress.>", start=start, size=_PAGE)

    async def _listen(self, watch: Watch) -> None:
        while not (watch.behind or watch.closed):
            said = await watch.next(_AGAIN)
            if said is not None and said.sequence > self._position:
                self._merge(said)
                await self._read_again()
                await self._say()

    async def _say(self) -> None:
        self._settled = self._position
        async with self._changed:
            self._changed.notify_all()

    async def _forget(self) -> None:
        """Drop the rows of which the stream keeps nothing any more."""
        while True:
            with suppress(SealaneError):
                self.held = await bounds(self._connection)
                for name in [name for name, row in self._rows.items() if row.sequence < self.held.first]:
                    del self._rows[name]
                    self._open.pop(name, None)
                    self._told.pop(name, None)
            await asyncio.sleep(_FORGET_INTERVAL)

    async def _read_again(self) -> None:
        """Merge anew what was over and is not: its earlier messages were forgotten."""
        while self._again:
            run = await read_run(self._connection, self._again.pop(), self._consumers)
            if run.roots:
                self._open[run.id] = run
                self._settle(run)

    # ── one message ───────────────────────────────────────────────────────────────────────────────────────────────

    def _merge(self, said: Said) -> None:
        self._position = said.sequence
        message = said.message
        if message is None or message.worker == AUDIT:
            return
        name = message.run
        row = self._rows.pop(name, None)
        run = self._open.get(name)
        if run is None:
            if row is not None:
                self._rows[name] = replace(row, sequence=said.sequence)
                self._again.add(name)
                return
            if self._is_all_of_it(message):
                self._rows[name] = _short(said.sequence, message)
                return
            run = self._open[name] = Run(name, self._consumers)
        run.add(said.sequence, message)
        told = self._told.setdefault(name, _Told(message))
        told.hear(message)
        self._settle(run)

    def _is_all_of_it(self, message: ProgressMessage) -> bool:
        """Whether a single message is a whole run, as it is of most: done, by all who consume it, nothing to follow."""
        return (
            message.outcome == "done"
            and self._consumers(message.event.type) == (message.worker,)
            and not any(self._consumers(event.type) for event in message.emitted)
        )

    def _settle(self, run: Run) -> None:
        """Write the row of a run, and keep no more than that when it is over."""
        told = self._told.get(run.id)
        branch = min(run.branches(), key=lambda one: (_WORST_FIRST.index(one.state), _negative(one.at)))
        root = run.roots[0] if run.roots else branch.event
        before = self._rows.pop(run.id, None)
        self._rows[run.id] = Row(
            run=run.id,
            sequence=self._position,
            state=run.state,
            worker=branch.worker,
            step=told.steps.get(branch.worker) if told and branch.state == "running" else None,
            cause=branch.message if branch.state in {"dead", "retry", "waiting"} else None,
            dead=branch.dead.sequence if branch.dead else None,
            started_at=run.started_at.timestamp() if run.started_at else 0.0,
            at=max((one.at.timestamp() for one in run.branches() if one.at), default=0.0),
            type=root.type,
            subject=root.subject,
            source=root.source,
            id=root.id,
            actor=(told.actor if told else None) or (before.actor if before else None),
        )
        if run.complete:
            self._open.pop(run.id, None)
            self._told.pop(run.id, None)


@dataclass(slots=True)
class _Told:
    """What a run's messages say besides how its branches are."""

    actor: str | None
    steps: dict[str, str | None]
    """Worker → the step that it is in."""

    def __init__(self, message: ProgressMessage) -> None:
        self.actor = message.actor
        self.steps = {}

    def hear(self, message: ProgressMessage) -> None:
        if self.actor is None:
            # Whoever opened it was heard first: what somebody else brings again later makes no run theirs.
            self.actor = message.actor
        if message.kind == "step":
            self.steps[message.worker] = message.step if message.state == "began" else None


def _short(sequence: int, message: ProgressMessage) -> Row:
    """Return the row of a run that is one message."""
    event, at = message.event, message.at.timestamp()
    return Row(
        run=message.run,
        sequence=sequence,
        state="done",
        worker=message.worker,
        step=None,
        cause=None,
        dead=None,
        started_at=at - (message.seconds or 0.0),
        at=at,
        type=event.type,
        subject=event.subject,
        source=event.source,
        id=event.id,
        actor=message.actor,
    )


def _negative(at: datetime | None) -> float:
    return -at.timestamp() if at else 0.0


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
