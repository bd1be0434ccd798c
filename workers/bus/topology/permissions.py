"""Who may do what on NATS, derived from the workers' signatures and cards, rendered for the server.

A permission is a subject that an identity may publish to or subscribe to; the JetStream API is subjects, too. The
server checks the subject of a request, never where the answer shall go, and stores an answer that arrives on a stream's
subject. A direct get answers with the stored message, headers and all: whoever may write a message somewhere and get it
directly could so forge any event, schedule or claim. Workers therefore read by `STREAM.MSG.GET`, whose answers are JSON
without headers, which nobody takes for an event. The operator may get directly: it may publish every event anyway. So
may the gateway, whose own code publishes only what may come through a door. For the same reason a worker's schedules
and claims are in streams of its own.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.catalogue import CATALOGUE
from workers.bus.topology.check import needed_streams
from workers.bus.topology.streams import (
    CRON,
    DEAD,
    EVENTS,
    LEDGER,
    LINES,
    PROGRESS,
    SIGNED_OUT,
    claims_stream,
    holds_claims,
    retry_stream,
)
from workers.bus.topology.streams import consumers as consumers_of
from workers.bus.wiring import Wiring

PROVISIONER = "provisioner"
OPERATOR = "operator"
GATEWAY = "gateway"
BRIDGE = "bridge"
BETWEEN_DOORS = "door.opened"
"""The subject on which replicas of the door ask each other who let an event in; no stream has it."""
_READ = (EVENTS, PROGRESS, DEAD)
_LEDGER = (f"$KV.{LEDGER.removeprefix('KV_')}.>", f"$JS.API.STREAM.MSG.GET.{LEDGER}", f"$JS.API.DIRECT.GET.{LEDGER}")
_SIGNED_OUT = f"$KV.{LEDGER.removeprefix('KV_')}.{SIGNED_OUT}.*"


@dataclass(frozen=True, slots=True)
class Permissions:
    """What one identity may do. Subjects with NATS wildcards; `never_publish` wins over `publish`."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    never_publish: tuple[str, ...] = ()


def identity_of(worker: str) -> str:
    """Return the identity under which a worker connects."""
    return BRIDGE if worker == BRIDGE else f"worker-{worker}"


def inbox(identity: str) -> str:
    """Return the subjects on which an identity, and nobody else, gets its answers."""
    return f"_INBOX_{identity}.>"


def derive(wirings: Iterable[Wiring]) -> dict[str, Permissions]:
    """Derive the permissions of every identity."""
    workers = sorted(wirings, key=lambda wiring: wiring.name)
    found = {
        PROVISIONER: _provisioner(),
        OPERATOR: _operator(workers),
        GATEWAY: _gateway(workers),
    }
    return found | {identity_of(wiring.name): _worker(wiring) for wiring in workers}


def render(permissions: Mapping[str, Permissions], public_keys: Mapping[str, str]) -> str:
    """Write the server's block `authorization { … }`. `public_keys`: identity → nkey (U…). Raises KeyError."""
    lines = ["authorization {", "  users = ["]
    for identity, allowed in permissions.items():
        publish = f"allow: {json.dumps(allowed.publish)}"
        if allowed.never_publish:
            publish += f", deny: {json.dumps(allowed.never_publish)}"
        lines += [
            f"    # {identity}",
            f"    {{ nkey: {public_keys[identity]}",
            "      permissions: {",
            f"        publish: {{ {publish} }}",
            f"        subscribe: {{ allow: {json.dumps(allowed.subscribe)} }}",
            "      } }",
        ]
    return "\n".join([*lines, "  ]", "}", ""])


def permissions_table(permissions: Mapping[str, Permissions]) -> list[dict[str, str | list[str]]]:
    """Return the permissions as rows for people and programs, one an identity."""
    return [
        {
            "identity": identity,
            "publish": list(allowed.publish),
            "never": list(allowed.never_publish),
            "subscribe": list(allowed.subscribe),
        }
        for identity, allowed in permissions.items()
    ]


def _worker(wiring: Wiring) -> Permissions:
    name, own = wiring.name, inbox(identity_of(wiring.name))
    publish = [own, *wiring.emitted_types, f"schedule.{name}.>", f"progress.{name}.>", f"dead.{name}.>"]
    publish += [f"$JS.API.STREAM.INFO.{stream.name}" for stream in needed_streams(wiring)]
    for consumer in consumers_of(wiring):
        place = f"{consumer.stream}.{consumer.name}"
        publish += [
            f"$JS.API.CONSUMER.INFO.{place}",
            f"$JS.API.CONSUMER.MSG.NEXT.{place}",
            # By sequence: for what no client can parse.
            f"$JS.API.STREAM.MSG.GET.{consumer.stream}",
            f"$JS.ACK.{place}.>",
            f"$JS.ACK.*.*.{place}.>",
        ]
    publish += _line(wiring) + _claims(wiring)
    return Permissions(publish=tuple(dict.fromkeys(publish)), subscribe=(own,))


def _line(wiring: Wiring) -> list[str]:
    """Allow to write one worker's line; everybody's may be read."""
    return [f"$KV.lines.{wiring.name}", f"$JS.API.STREAM.MSG.GET.{LINES}"]


def _claims(wiring: Wiring) -> list[str]:
    """Allow to read and write the claims of one worker, if it has any."""
    if not holds_claims(wiring):
        return []
    bucket = claims_stream(wiring.name)
    return [f"$KV.{bucket.removeprefix('KV_')}.>", f"$JS.API.STREAM.MSG.GET.{bucket}"]


def doors(workers: Iterable[Wiring]) -> tuple[str, ...]:
    """Return the types of event that POST /events may take: those that no worker says itself.

    What a carrier emits is somebody else's word, which may come directly as well.
    """
    said = {event_type for wiring in workers if not wiring.card.carries for event_type in wiring.emitted_types}
    return tuple(sorted(set(_by_door("events")) - said))


def _by_door(door: str) -> list[str]:
    return [event_type for event_type, event in CATALOGUE.items() if event.door == door]


def _gateway(workers: list[Wiring]) -> Permissions:
    own, events = (inbox(GATEWAY), BETWEEN_DOORS), (*doors(workers), *sorted(_by_door("webhook")))
    return Permissions(
        publish=(*own, *events, *_reading(_READ), f"$JS.API.STREAM.MSG.GET.{LINES}", *_LEDGER),
        subscribe=(*own, *sorted(CATALOGUE), "progress.>", "dead.>", _SIGNED_OUT),
        never_publish=_durables(workers),
    )


def _operator(workers: list[Wiring]) -> Permissions:
    retries = [retry_stream(wiring.name) for wiring in workers]
    publish = [
        inbox(OPERATOR),
        *sorted(CATALOGUE),
        *_reading(_READ),
        "$JS.API.INFO",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.LIST",
        "$JS.API.CONSUMER.NAMES.*",
        "$JS.API.CONSUMER.LIST.*",
        f"$JS.API.STREAM.MSG.DELETE.{DEAD}",
        *(f"$JS.API.STREAM.MSG.GET.{stream}" for stream in (CRON, *retries)),
        _SIGNED_OUT,
        f"$JS.API.STREAM.MSG.GET.{LEDGER}",
        # Whole, to find what was replayed.
        *(f"$JS.API.DIRECT.GET.{stream}{rest}" for stream in retries for rest in ("", ".>")),
        *(f"retry.{wiring.name}.>" for wiring in workers),
        *(subject for wiring in workers for subject in (*_line(wiring), *_claims(wiring))),
    ]
    return Permissions(
        publish=tuple(dict.fromkeys(publish)),
        subscribe=(inbox(OPERATOR), *sorted(CATALOGUE), "progress.>", "dead.>"),
        never_publish=_durables(workers),
    )


def _reading(streams: Iterable[str]) -> list[str]:
    """Allow to read whole streams, with consumers of one's own."""
    found = ["$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.*.*"]
    for stream in streams:
        found += [
            f"$JS.API.DIRECT.GET.{stream}",
            f"$JS.API.DIRECT.GET.{stream}.>",
            f"$JS.API.STREAM.MSG.GET.{stream}",
            f"$JS.API.CONSUMER.CREATE.{stream}.>",
            f"$JS.API.CONSUMER.DELETE.{stream}.*",
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*",
            f"$JS.FC.{stream}.>",
        ]
    return found


def _durables(workers: Iterable[Wiring]) -> tuple[str, ...]:
    """Whoever may have consumers of its own must not touch the workers': neither their settings nor their messages."""
    durables = [consumer for wiring in workers for consumer in consumers_of(wiring) if consumer.stream in _READ]
    return tuple(
        subject
        for place in (f"{durable.stream}.{durable.name}" for durable in durables)
        for subject in (
            f"$JS.API.CONSUMER.CREATE.{place}",
            f"$JS.API.CONSUMER.CREATE.{place}.>",
            f"$JS.API.CONSUMER.DELETE.{place}",
            f"$JS.API.CONSUMER.MSG.NEXT.{place}",
        )
    )


def _provisioner() -> Permissions:
    verbs = [f"STREAM.{verb}.*" for verb in ("CREATE", "UPDATE", "DELETE", "INFO")]
    verbs += ["STREAM.NAMES", "STREAM.LIST", "CONSUMER.CREATE.>", "CONSUMER.INFO.*.*", "CONSUMER.LIST.*", "INFO"]
    verbs += [f"STREAM.MSG.GET.{CRON}"]
    return Permissions(
        publish=(inbox(PROVISIONER), *(f"$JS.API.{verb}" for verb in verbs), "cron.*"),
        subscribe=(inbox(PROVISIONER),),
    )
