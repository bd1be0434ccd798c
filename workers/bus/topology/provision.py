"""Makes the server match what is declared, and says what does not match.

What is safe is applied; what would lose data is refused with a sentence; what is more than declared is reported and
left alone, since during a rolling upgrade it belongs to the other version. Only the provisioner's identity may do this:
a worker compares what it needs (`workers.bus.topology.check`), and changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from workers.bus.topology.drift import Drift, compare_consumer, compare_stream
from workers.bus.topology.streams import CRON, Consumer, Stream, Topology
from workers.bus.topology.ticks import compare_tick, write_tick
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import ApiError, JetStreamApi

_FIXED = frozenset({"retention", "storage"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one drift."""

    drift: Drift
    applied: bool

    @property
    def word(self) -> str:
        """For tables: applied, refused, or tolerated."""
        if self.applied:
            return "applied"
        return "tolerated" if self.drift.kind == "extra" else "refused"

    def as_json(self) -> dict[str, Any]:
        """Return the outcome for programs."""
        return {**self.drift.as_json(), "outcome": self.word}


async def find_drift(connection: Connection, wanted: Topology) -> list[Drift]:
    """Compare everything; an empty list means that the server matches. Raises Denied, Unavailable, ApiError."""
    api = JetStreamApi(connection)
    drifts: list[Drift] = []
    for stream in wanted.streams:
        drifts += compare_stream(stream, await _stream_info(api, stream))
    for consumer in wanted.consumers:
        drifts += compare_consumer(consumer, await api.consumer(consumer.stream, consumer.name))
    if not any(drift.name == CRON and drift.kind == "missing" for drift in drifts):
        for tick in wanted.ticks:
            drifts += await compare_tick(api, tick)
    return drifts + await _extras(api, wanted)


async def apply(connection: Connection, wanted: Topology) -> list[Outcome]:
    """Make the server match as far as nothing is lost; a second call finds nothing left but what was refused.

    Raises Denied and Unavailable.
    """
    api = JetStreamApi(connection)
    outcomes: list[Outcome] = []
    for stream in wanted.streams:
        outcomes += await _apply_stream(api, stream)
    for consumer in wanted.consumers:
        outcomes += await _apply_consumer(api, consumer)
    for tick in wanted.ticks:
        drifts = await compare_tick(api, tick)
        if drifts:
            await write_tick(api, tick)
        outcomes += [Outcome(drift, applied=True) for drift in drifts]
    return outcomes + [Outcome(drift, applied=False) for drift in await _extras(api, wanted)]


async def _stream_info(api: JetStreamApi, stream: Stream) -> dict[str, Any] | None:
    """Ask for a stream, and for its subjects when a limit of each subject might shrink."""
    info = await api.stream(stream.name)
    per_subject = stream.config["max_msgs_per_subject"]
    if info is not None and per_subject > 0 and info["config"].get("max_msgs_per_subject") != per_subject:
        return await api.request(f"STREAM.INFO.{stream.name}", {"subjects_filter": ">"})
    return info


async def _apply_stream(api: JetStreamApi, stream: Stream) -> list[Outcome]:
    info = await _stream_info(api, stream)
    drifts = list(compare_stream(stream, info))
    if info is None:
        await api.request(f"STREAM.CREATE.{stream.name}", stream.config)
        return [Outcome(drift, applied=True) for drift in drifts]
    changes = [drift for drift in drifts if drift.kind == "different" and drift.refusal is None]
    rest = [Outcome(drift, applied=False) for drift in drifts if drift not in changes]
    if any(drift.field in _FIXED for drift in changes):
        return rest + await _recreate(api, stream, info, changes)
    return rest + await _update(api, f"STREAM.UPDATE.{stream.name}", info, changes)


async def _apply_consumer(api: JetStreamApi, consumer: Consumer) -> list[Outcome]:
    info = await api.consumer(consumer.stream, consumer.name)
    drifts = list(compare_consumer(consumer, info))
    verb = f"CONSUMER.CREATE.{consumer.stream}.{consumer.name}"
    if info is None:
        await api.request(verb, {"stream_name": consumer.stream, "action": "create", "config": consumer.config})
        return [Outcome(drift, applied=True) for drift in drifts]
    changes = [drift for drift in drifts if drift.kind == "different" and drift.refusal is None]
    rest = [Outcome(drift, applied=False) for drift in drifts if drift not in changes]
    return rest + await _update(api, verb, info, changes, consumer=consumer)


async def _update(
    api: JetStreamApi, verb: str, info: Mapping[str, Any], changes: list[Drift], consumer: Consumer | None = None
) -> list[Outcome]:
    """Send what is there with the changes in it; what the server refuses becomes a refusal with its words."""
    if not changes:
        return []
    config = _changed(info["config"], changes)
    body: Mapping[str, Any] = config
    if consumer is not None:
        config.pop("filter_subject", None)
        body = {"stream_name": consumer.stream, "action": "update", "config": config}
    try:
        await api.request(verb, body)
    except ApiError as error:
        return [Outcome(replace(change, refusal=str(error)), applied=False) for change in changes]
    return [Outcome(change, applied=True) for change in changes]


def _changed(config: Mapping[str, Any], changes: list[Drift]) -> dict[str, Any]:
    """Return a configuration with the changes; lists of subjects keep what is more than we declare."""
    changed = dict(config)
    for change in changes:
        if isinstance(change.wanted, list):
            changed[str(change.field)] = sorted({*change.wanted, *(change.found or ())})
        else:
            changed[str(change.field)] = change.wanted
    return changed


async def _recreate(api: JetStreamApi, stream: Stream, info: Mapping[str, Any], changes: list[Drift]) -> list[Outcome]:
    """Delete an empty stream and make it anew, for what cannot be changed in place.

    Its subjects are taken away first, so that nothing can arrive between the last look and the deletion.
    """
    closed = {**info["config"], "subjects": [f"closing.{stream.name}"]}
    await api.request(f"STREAM.UPDATE.{stream.name}", closed)
    now = await api.stream(stream.name)
    if now is None or now["state"]["messages"]:
        await api.request(f"STREAM.UPDATE.{stream.name}", info["config"])
        refusal = "it received messages meanwhile, which would be lost: apply again once it is empty"
        return [Outcome(replace(change, refusal=refusal), applied=False) for change in changes]
    await api.request(f"STREAM.DELETE.{stream.name}")
    await api.request(f"STREAM.CREATE.{stream.name}", _changed(stream.config, changes))
    return [Outcome(change, applied=True) for change in changes]


async def _extras(api: JetStreamApi, wanted: Topology) -> list[Drift]:
    """Find streams, durables and schedules that nobody here declares."""
    declared = {stream.name for stream in wanted.streams}
    durables = {(consumer.stream, consumer.name) for consumer in wanted.consumers}
    there = [name async for name in api.streams()]
    extras = [Drift("extra", "stream", name, found="the stream itself") for name in there if name not in declared]
    for stream in declared.intersection(there):
        extras += [
            Drift("extra", "consumer", f"{stream}/{found['name']}", found="the consumer itself")
            async for found in api.consumers(stream)
            if found["config"].get("durable_name") and (stream, found["name"]) not in durables
        ]
    if CRON in there:
        ticks = {tick.subject for tick in wanted.ticks}
        stored = await api.subjects(CRON, "cron.>")
        extras += [
            Drift("extra", "schedule", name, found="the schedule itself") for name in stored if name not in ticks
        ]
    return sorted(extras, key=lambda drift: (drift.what, drift.name))
