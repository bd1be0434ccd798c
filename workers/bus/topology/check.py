"""What a worker compares at its start, with its own permissions only: what it needs, and nothing else."""

from typing import Any

from workers.bus.topology.drift import Drift, compare_consumer, compare_stream
from workers.bus.topology.streams import (
    CRON,
    DEAD,
    EVENTS,
    LINES,
    PROGRESS,
    Consumer,
    Stream,
    claims_stream,
    holds_claims,
    retry_stream,
    topology,
)
from workers.bus.topology.streams import consumers as consumers_of
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import JetStreamApi
from workers.bus.wiring import Wiring
from workers.retention import Retention

_STREAM_FIELDS = frozenset(
    {"subjects", "retention", "storage", "discard", "allow_direct", "allow_msg_ttl", "allow_msg_schedules"}
)
"""What a worker relies on. Sizes, ages and copies are the operator's business."""
_CONSUMER_FIELDS = frozenset({"filter_subjects", "ack_policy", "ack_wait", "max_deliver"})


async def check(connection: Connection, wiring: Wiring) -> list[Drift]:
    """Compare what a worker needs; an empty list means that it can work. Additions are tolerated.

    Raises Denied when the identity may not even ask, Unavailable when nobody answers.
    """
    api = JetStreamApi(connection)
    drifts: list[Drift] = []
    for stream in needed_streams(wiring):
        drifts += compare_stream(stream, await api.stream(stream.name))
    for consumer in consumers_of(wiring):
        needed = Consumer(consumer.stream, consumer.name, _only(consumer.config, _CONSUMER_FIELDS))
        drifts += compare_consumer(needed, await api.consumer(consumer.stream, consumer.name))
    return [drift for drift in drifts if not _is_harmless(drift)]


def refusal(wiring: Wiring, drifts: list[Drift]) -> str:
    """Say in one sentence why a worker does not start."""
    found = "; ".join(drift.sentence for drift in drifts)
    return f"{wiring.name} does not start, because the bus is not as it needs it: {found}. Run `sealane streams apply`."


def needed_streams(wiring: Wiring) -> tuple[Stream, ...]:
    """Declare the streams that a worker touches, with the fields and the subjects that it relies on."""
    name = wiring.name
    events = sorted({*wiring.pulled_types, *wiring.emitted_types})
    subjects: dict[str, list[str] | None] = {
        EVENTS: events,
        retry_stream(name): None,
        PROGRESS: None,
        DEAD: None,
        LINES: None,
    }
    if not events:
        del subjects[EVENTS]
    if holds_claims(wiring):
        subjects[claims_stream(name)] = None
    if wiring.card.tick:
        subjects[CRON] = None
    found = []
    for stream in topology([wiring], Retention()).streams:
        if stream.name in subjects:
            config = _only(stream.config, _STREAM_FIELDS)
            config["subjects"] = subjects[stream.name] or config["subjects"]
            found.append(Stream(stream.name, config))
    return tuple(found)


def _only(config: Any, fields: frozenset[str]) -> dict[str, Any]:
    return {field: value for field, value in config.items() if field in fields}


def _is_harmless(drift: Drift) -> bool:
    """Whether a worker can live with it: additions, and a server that is more patient than the heartbeats need."""
    return drift.kind == "extra" or (drift.field == "ack_wait" and drift.found > drift.wanted)
