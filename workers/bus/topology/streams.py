"""Every stream, durable consumer and repeating schedule of the bus, declared as data.

All streams are in Limits retention: there the server rebuilds its memory of message ids after a restart (in WorkQueue
and Interest it forgets them). Field names and units (nanoseconds) are those of the JetStream API; what is stated here
is compared and applied by `workers.bus.topology.provision`, what is not stated is the server's own business.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from schemas.catalogue import CATALOGUE
from workers.bus.wiring import Wiring
from workers.ports import Claims, Rates
from workers.retention import Retention

EVENTS = "EVENTS"
CRON = "CRON"
PROGRESS = "PROGRESS"
DEAD = "DEAD"
LINES = "KV_lines"
LEDGER = "KV_ledger"
"""What the replicas of the door remember together."""
SIGNED_OUT = "signedout"
"""Prefix of its keys which say that a session of the console is over; the operator may write them as well."""
HEADROOM = 64 * 1024
"""Bytes that EVENTS stays below the server's limit, for what a dead letter adds."""
_ACK_PENDING = 1024
_UNLIMITED = -1
_SCHEDULES = {"allow_msg_schedules": True, "allow_msg_ttl": True, "allow_rollup_hdrs": True}
"""What a stream with schedules needs; the server turns rollups on by itself."""


def retry_stream(worker: str) -> str:
    """Return the name of a worker's stream of retries."""
    return f"RETRY_{worker}"


def holds_claims(wiring: Wiring) -> bool:
    """Whether a worker asks for claims or rates, in its signature or on its card: one bucket holds both."""
    return wiring.card.claims or bool({Claims, Rates} & wiring.asked)


def claims_stream(worker: str) -> str:
    """Return the name of a worker's bucket of claims.

    Each has its own: what may be read of a stream by sequence or subject is all of it, and a direct get of one subject
    lets its asker have the stored message, headers and all, stored anywhere else.
    """
    return f"KV_claims_{worker}"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream: its name and the configuration that we state."""

    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Consumer:
    """A durable pull consumer, named after its worker."""

    stream: str
    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tick:
    """A repeating schedule which the server fires at a worker, with no process of ours running."""

    worker: str
    schedule: str
    """`@every 1h`, or six-field cron."""

    @property
    def subject(self) -> str:
        """Where the schedule is stored."""
        return f"cron.{self.worker}"

    @property
    def target(self) -> str:
        """What it fires at."""
        return f"tick.{self.worker}"


@dataclass(frozen=True, slots=True)
class Topology:
    """All that must be on the server for a set of workers."""

    streams: tuple[Stream, ...]
    consumers: tuple[Consumer, ...]
    ticks: tuple[Tick, ...]


def topology(wirings: Iterable[Wiring], retention: Retention) -> Topology:
    """Declare everything that these workers need."""
    workers = sorted(wirings, key=lambda wiring: wiring.name)
    return Topology(
        streams=(
            *_shared_streams(retention),
            *_shared_buckets(retention),
            *(_retry(wiring.name, retention) for wiring in workers),
            *(_claims(wiring.name, retention) for wiring in workers if holds_claims(wiring)),
        ),
        consumers=tuple(consumer for wiring in workers for consumer in consumers(wiring)),
        ticks=tuple(Tick(wiring.name, wiring.card.tick) for wiring in workers if wiring.card.tick),
    )


def consumers(wiring: Wiring) -> tuple[Consumer, ...]:
    """Declare a worker's durables: what it consumes of the bus, its retries and replays, its ticks."""
    found = [_consumer(wiring, retry_stream(wiring.name), [f"retry.{wiring.name}.>"])]
    if wiring.pulled_types:
        found.append(_consumer(wiring, EVENTS, sorted(wiring.pulled_types)))
    if wiring.card.tick:
        found.append(_consumer(wiring, CRON, [f"tick.{wiring.name}"]))
    return tuple(found)


def _shared_streams(retention: Retention) -> tuple[Stream, ...]:
    return (
        _stream(
            EVENTS,
            sorted(CATALOGUE),
            retention,
            discard="new",
            max_bytes=retention.events_bytes,
            max_age=nanoseconds(retention.events_age),
            max_msg_size=retention.max_payload - HEADROOM,
            duplicate_window=nanoseconds(retention.duplicate_window),
        ),
        # The server takes schedules in no stream that discards new messages. One message a subject: the schedule
        # itself, and the latest tick, so that a worker which was away is woken once, not once a missed tick.
        _stream(
            CRON,
            ["cron.>", "tick.>"],
            retention,
            max_msgs_per_subject=1,
            max_age=nanoseconds(retention.events_age),
            **_SCHEDULES,
        ),
        _stream(
            PROGRESS,
            ["progress.>"],
            retention,
            max_bytes=retention.progress_bytes,
            max_age=nanoseconds(retention.progress_age),
            max_msgs_per_subject=retention.progress_per_run,
        ),
        _stream(
            DEAD,
            ["dead.>"],
            retention,
            discard="new",
            max_bytes=retention.dead_bytes,
            max_age=nanoseconds(retention.dead_age),
            duplicate_window=nanoseconds(retention.duplicate_window),
        ),
    )


def _shared_buckets(retention: Retention) -> tuple[Stream, ...]:
    ledger = _bucket(LEDGER, retention, max_bytes=retention.ledger_bytes, allow_msg_ttl=True)
    return _bucket(LINES, retention), ledger


def _retry(worker: str, retention: Retention) -> Stream:
    """Declare a worker's retries, in a stream of their own.

    The server fires a schedule at any subject of its stream without asking what its author may publish. A stream with
    schedules cannot discard new messages, so this one has no limit of size: there is nothing to discard for.
    """
    return _stream(
        retry_stream(worker),
        [f"retry.{worker}.>", f"schedule.{worker}.>"],
        retention,
        max_age=nanoseconds(retention.events_age),
        duplicate_window=nanoseconds(retention.duplicate_window),
        **_SCHEDULES,
    )


def _claims(worker: str, retention: Retention) -> Stream:
    return _bucket(claims_stream(worker), retention, max_bytes=retention.claims_bytes, allow_msg_ttl=True)


def _bucket(name: str, retention: Retention, **stated: Any) -> Stream:
    """Declare a key-value bucket as NATS clients know it (ADR-8): the last value of each key, nothing expires.

    No limit markers: with them an expired key cannot be created anew until its marker is gone, too. No rollups: with
    one header, whoever may write a single key could empty the whole bucket.
    """
    return _stream(
        name,
        [f"$KV.{name.removeprefix('KV_')}.>"],
        retention,
        **{
            "discard": "new",
            "max_msgs_per_subject": 1,
            "deny_delete": True,
            **stated,
        },
    )


def _stream(name: str, subjects: list[str], retention: Retention, **stated: Any) -> Stream:
    config = {
        "name": name,
        "subjects": subjects,
        "retention": "limits",
        "storage": "file",
        "num_replicas": retention.replicas,
        "discard": "old",
        "max_msgs": _UNLIMITED,
        "max_bytes": _UNLIMITED,
        "max_age": 0,
        "max_msgs_per_subject": _UNLIMITED,
        "max_msg_size": _UNLIMITED,
        "duplicate_window": nanoseconds(timedelta(minutes=2)),
        "allow_direct": True,
        "allow_rollup_hdrs": False,
        "deny_delete": False,
        "allow_msg_ttl": False,
        "allow_msg_schedules": False,
        **stated,
    }
    if config["max_age"]:
        config["duplicate_window"] = min(config["duplicate_window"], config["max_age"])
    return Stream(name, config)


def _consumer(wiring: Wiring, stream: str, subjects: list[str]) -> Consumer:
    config = {
        "durable_name": wiring.name,
        "name": wiring.name,
        "filter_subjects": subjects,
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "replay_policy": "instant",
        "ack_wait": nanoseconds(wiring.card.ack_wait),
        # Poison is ours to judge: the server would only skip it, in silence.
        "max_deliver": _UNLIMITED,
        "max_ack_pending": max(_ACK_PENDING, 16 * wiring.card.concurrency),
        "inactive_threshold": 0,
    }
    return Consumer(stream, wiring.name, config)


def nanoseconds(duration: timedelta) -> int:
    """Return a duration as the JetStream API counts it."""
    return duration // timedelta(microseconds=1) * 1000
