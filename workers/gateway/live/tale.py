"""What one follower of a run is told: every message once and in order, where something may be missing, and the end."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Literal

from schemas.progress import EventRef, ProgressMessage
from workers.bus.doors.fanout import Bounds, Fanout, Said, Watch, bounds, said_of
from workers.bus.doors.records import run_record
from workers.bus.doors.runs import Consumers, Run
from workers.bus.transport.connection import Connection
from workers.failures import SealaneError

log = logging.getLogger(__name__)
HEARTBEAT = 15.0
"""Seconds of silence after which the follower hears that the line is open (WHATWG HTML 9.2.7)."""
_AGAIN = 1.0
"""Seconds between looks at a bus that is away."""
Kind = Literal["progress", "gap", "completed", "waiting", "run", "heartbeat"]


@dataclass(frozen=True, slots=True)
class Told:
    """One thing told. `id` is where a follower that has it goes on; without one it stays where it was."""

    kind: Kind
    id: str | None = None
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a follower goes on: after a sequence of PROGRESS, and whether it was told that the run is complete."""

    after: int = 0
    completed: bool = False


class Tale:
    """The tale of one run for one follower: `async for told in tale.told()`."""

    def __init__(
        self,
        connection: Connection,
        fanout: Fanout,
        run: str,
        consumers: Consumers,
        place: Place,
        *,
        expected: Iterable[EventRef] = (),
        heartbeat: float = HEARTBEAT,
    ) -> None:
        """Take where to read, and from where on; `expected` are events of which nothing may be said yet."""
        self._connection = connection
        self._fanout = fanout
        self._name = run
        self._consumers = consumers
        self._place = place
        self._after = place.after
        self._heartbeat = heartbeat
        self._run = Run(run, consumers)
        for event in expected:
            self._run.expect(event)
        self._next = 1
        self._whole = place.after == 0

    @property
    def complete(self) -> bool:
        """Whether the run was complete when it was last heard of."""
        return self._run.complete

    async def told(self) -> AsyncGenerator[Told, None]:
        """Yield what is told, until the run is complete or the door closes."""
        with self._fanout.watch(self._name) as watch:
            away = False
            while not watch.closed:
                try:
                    async for told in self._catch_up(watch):
                        yield told
                    away = False
                    if self._run.complete:
                        if not self._is_known_to_be_complete():
                            yield self._completed()
                        return
                    async for told in self._listen(watch):
                        yield told
                    if self._run.complete:
                        yield self._completed()
                        return
                except SealaneError as error:
                    if not away:
                        yield Told("waiting", data=_json(message=str(error)))
                    away = True
                    await asyncio.sleep(_AGAIN)

    def _is_known_to_be_complete(self) -> bool:
        return self._place.completed and self._after <= self._place.after

    async def _catch_up(self, watch: Watch) -> AsyncGenerator[Told, None]:
        """Read what the stream has: all of the run, so as to know when it is complete; tell what is new."""
        held = await bounds(self._connection)
        if watch.reset or self._after > held.last:
            yield Told("gap", data=_json(reason="reset", after=self._after, last=held.last))
            self._begin_anew()
        elif gap := self._expired(held):
            yield gap
        watch.caught_up()
        async for said in said_of(self._connection, self._name, start=self._next):
            for told in self._take(said):
                yield told

    async def _listen(self, watch: Watch) -> AsyncGenerator[Told, None]:
        """Tell what comes, until the run is complete or the stream must be read again."""
        while not (watch.behind or watch.closed or self._run.complete):
            said = await watch.next(self._heartbeat)
            if said is None:
                if not (watch.behind or watch.closed):
                    yield Told("heartbeat")
            elif said.sequence >= self._next:
                for told in self._take(said):
                    yield told

    def _take(self, said: Said) -> list[Told]:
        """Merge a message into the run, and return what to tell of it."""
        self._next = said.sequence + 1
        message = said.message
        if message is None:
            return []
        told = []
        if self._whole and _had_a_beginning(message) and not self._run.heard(message):
            self._whole = False
            told.append(Told("gap", data=_json(reason="trimmed", before=said.sequence)))
        self._run.add(said.sequence, message)
        if said.sequence > self._after:
            self._after = said.sequence
            told.append(Told("progress", str(said.sequence), said.json))
        return told

    def _expired(self, held: Bounds) -> Told | None:
        if self._after and self._after + 1 < held.first:
            return Told("gap", data=_json(reason="expired", after=self._after, first=held.first))
        return None

    def _begin_anew(self) -> None:
        self._run, self._next, self._after = Run(self._name, self._consumers), 1, 0

    def _completed(self) -> Told:
        return Told("completed", f"{self._run.last_sequence}{COMPLETED}", json.dumps(run_record(self._run)).encode())


COMPLETED = "-completed"
"""Ends the id of what says that a run is complete: who has it needs not be told again."""


def _had_a_beginning(message: ProgressMessage) -> bool:
    """Whether something must have been said before it: lines and steps follow a `started`, attempts a result."""
    return message.kind in {"step", "log"} or message.attempt > 1


def _json(**members: object) -> bytes:
    return json.dumps(members).encode()
