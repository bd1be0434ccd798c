"""What is alive, asked anew each time: a round trip through the bus, its streams, and how far the workers are."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from workers.bus.judgement.line import read_line
from workers.bus.rooms import all_wirings
from workers.bus.topology.fullness import alarm
from workers.bus.topology.streams import DEAD, EVENTS, LEDGER, LINES, PROGRESS, consumers
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import JetStreamApi
from workers.bus.wiring import Wiring
from workers.failures import SealaneError

_PATIENCE = 2.0
_FRESH = 1.0
_SHOWN = (EVENTS, PROGRESS, DEAD, LINES, LEDGER)
_NEEDED = (EVENTS, LEDGER)
"""Without these nothing is let in."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream: how many messages and bytes it holds, or why that is not known."""

    name: str
    messages: int | None = None
    bytes: int | None = None
    alarm: str | None = None
    """What to do about it when it is nearly full."""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerState:
    """How far a worker is: `lag` messages are not done, `in_hand` of them handed out, `pulling` requests wait."""

    name: str
    summary: str
    lag: int | None = None
    in_hand: int | None = None
    pulling: int | None = None
    stopped: str | None = None
    """Since when, by whom and why its line is stopped for all replicas, and how it goes on."""
    problem: str | None = None

    @property
    def present(self) -> bool:
        """Whether a process of it asks for work."""
        return bool(self.pulling)


@dataclass(frozen=True, slots=True)
class Health:
    """All of it. `round_trip` in seconds, None without an answer."""

    round_trip: float | None
    streams: tuple[StreamState, ...]
    workers: tuple[WorkerState, ...]

    @property
    def ready(self) -> bool:
        """Whether an event brought here would be stored."""
        found = {stream.name for stream in self.streams if stream.problem is None}
        return self.round_trip is not None and found.issuperset(_NEEDED)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"ready": self.ready} | asdict(self)


class Readiness:
    """Whether an event brought here would be stored, for anybody who asks: the bus is asked once in a second at most.

    `clock` is monotonic, in seconds.
    """

    def __init__(self, connection: Connection, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._api = JetStreamApi(connection, patience=_PATIENCE)
        self._clock = clock
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._ready = False

    async def ready(self) -> bool:
        """Return what was found, or find it."""
        async with self._asking:
            if self._clock() - self._asked_at >= _FRESH:
                alive = await self._connection.alive() is not None
                found = await asyncio.gather(*(_stream(self._api, name) for name in _NEEDED)) if alive else ()
                self._ready = alive and not any(stream.problem for stream in found)
                self._asked_at = self._clock()
            return self._ready


async def examine(connection: Connection) -> Health:
    """Ask the bus; what does not answer is said, not raised."""
    round_trip = await connection.alive()
    if round_trip is None:
        silent = "the bus does not answer"
        streams = tuple(StreamState(name, problem=silent) for name in _SHOWN)
        workers = tuple(WorkerState(one.name, one.card.summary, problem=silent) for one in all_wirings().values())
        return Health(None, streams, workers)
    api = JetStreamApi(connection, patience=_PATIENCE)
    found_streams = await asyncio.gather(*(_stream(api, name) for name in _SHOWN))
    found_workers = await asyncio.gather(*(_worker(connection, api, one) for one in all_wirings().values()))
    return Health(round_trip, tuple(found_streams), tuple(sorted(found_workers, key=lambda worker: worker.name)))


async def _stream(api: JetStreamApi, name: str) -> StreamState:
    try:
        info = await api.stream(name)
    except SealaneError as error:
        return StreamState(name, problem=str(error))
    if info is None:
        return StreamState(name, problem="missing: run `sealane streams apply`")
    return StreamState(name, messages=info["state"]["messages"], bytes=info["state"]["bytes"], alarm=alarm(info))


async def _worker(connection: Connection, api: JetStreamApi, wiring: Wiring) -> WorkerState:
    name, summary, lag, in_hand, pulling = wiring.name, wiring.card.summary, 0, 0, 0
    try:
        for durable in consumers(wiring):
            info = await api.consumer(durable.stream, name)
            if info is None:
                missing = f"no consumer on {durable.stream}: run `sealane streams apply`"
                return WorkerState(name, summary, problem=missing)
            lag += info["num_pending"] + info["num_ack_pending"]
            in_hand += info["num_ack_pending"]
            pulling += info["num_waiting"]
        line, _ = await read_line(connection, name)
    except SealaneError as error:
        return WorkerState(name, summary, problem=str(error))
    said = line.sentence()
    stopped = f"{said}; it goes on: {line.remedy(name)}" if said else None
    return WorkerState(name, summary, lag=lag, in_hand=in_hand, pulling=pulling, stopped=stopped)
