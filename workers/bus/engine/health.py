"""Healthy means it works: what a process can say of itself, each reason with a sentence.

Liveness is a request round trip with an answer; a server that is away is no reason to restart us, a connection that no
longer reads is. Readiness knows connection, consumers, pulls, drain, line and drift.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workers.bus.topology.check import check, needed_streams, refusal
from workers.bus.topology.fullness import alarm, fullness
from workers.bus.topology.streams import DEAD, EVENTS
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import JetStreamApi
from workers.failures import SealaneError

if TYPE_CHECKING:
    from workers.bus.engine.engine import Engine

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Health:
    """What a worker says of itself in this process."""

    worker: str
    live: bool
    ready: bool
    reasons: tuple[str, ...] = ()
    lag: dict[str, int] = field(default_factory=dict)
    """Messages not yet done, pending and unacknowledged, by stream."""


async def examine(engine: "Engine") -> Health:
    """Ask the bus and the engine. Takes at most a few seconds, also when nothing answers."""
    name = engine.wiring.name
    live = all(await asyncio.gather(_lives(engine.incoming), _lives(engine.outgoing)))
    reasons = [] if live else ["a connection to NATS no longer reads: it is being replaced"]
    reasons += [f"pull from {pull.stream}: {pull.trouble}" for pull in engine.pulls if pull.trouble]
    if engine.source is not None and engine.source.running:
        reasons += engine.source.problems()
    if engine.draining:
        reasons.append("it is draining")
    elif not engine.pulls and engine.line.stopped is None:
        reasons.append("it does not pull: something on the stream cannot be read and is being buried")
    if engine.line.stopped is not None:
        state = engine.line.stopped
        reasons.append(
            f"the line is stopped since {state.since} by {state.by}: {state.reason} (`sealane line resume {name}`)"
        )
    lag: dict[str, int] = {}
    if not (engine.incoming.client.is_connected and engine.outgoing.client.is_connected):
        reasons.append("not connected to NATS")
    elif not engine.draining:
        lag = await _lag(engine, reasons)
    engine.metrics.lag = sum(lag.values())
    return Health(name, live=live, ready=not reasons, reasons=tuple(reasons), lag=lag)


async def _lives(connection: Connection) -> bool:
    return not connection.client.is_connected or await connection.alive() is not None


async def _watch_fullness(api: JetStreamApi, engine: "Engine") -> None:
    """Say when a stream is nearly full. No reason to be unready: the worker is what empties it."""
    touched = {stream.name for stream in needed_streams(engine.wiring)}
    for stream in sorted(touched & {EVENTS, DEAD}):
        info = await api.stream(stream)
        if info is None:
            continue
        engine.metrics.fullness[stream] = fullness(info) or 0.0
        if (sentence := alarm(info)) is not None:
            log.error(sentence)


async def _lag(engine: "Engine", reasons: list[str]) -> dict[str, int]:
    api = JetStreamApi(engine.outgoing, patience=2.0)
    lag: dict[str, int] = {}
    try:
        for stream, consumer in engine.consumers:
            info = await api.consumer(stream, consumer)
            if info is not None:
                lag[stream] = info["num_pending"] + info["num_ack_pending"]
        await _watch_fullness(api, engine)
        drifts = await check(engine.outgoing, engine.wiring)
    except SealaneError as error:
        reasons.append(str(error))
    else:
        if drifts:
            reasons.append(refusal(engine.wiring, drifts))
    return lag
