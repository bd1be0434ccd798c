"""Declares the workers on a FastStream broker, which is never started in production.

From it come the AsyncAPI document and, with `TestNatsBroker`, tests of handlers in memory. Each worker is registered
through a shim of one argument: FastStream cannot build a schema for ports, and takes a second argument for one.
Decoding is ours, because FastStream validates what it has decoded before: strict models refuse a time given as text.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.message import NatsMessage
from faststream.nats.publisher.usecase import LogicPublisher
from nats.js.api import ConsumerConfig

from schemas.envelope import Envelope
from schemas.events import Event
from schemas.identity import run_id
from workers.bus.topology.streams import EVENTS
from workers.bus.wiring import Wiring, collect

Ports = Mapping[type, Any]


@dataclass(frozen=True, slots=True)
class Declared:
    """The broker with all workers on it, and what each of them emits through."""

    broker: NatsBroker
    publishers: dict[tuple[str, str], LogicPublisher] = field(default_factory=dict)
    """(worker, type emitted) → publisher."""


def declare(wirings: Mapping[str, Wiring], ports: Mapping[str, Ports] | None = None) -> Declared:
    """Register workers. `ports` (by worker, then by type) are needed only where handlers are called, in tests."""
    declared = Declared(NatsBroker(logger=None))
    stream = JStream(EVENTS, declare=False)
    for name, wiring in wirings.items():
        for event in wiring.emits:
            declared.publishers[name, event.event_type] = declared.broker.publisher(
                event.event_type,
                stream=stream,
                schema=event,
                title=f"{name}.emits.{event.event_type}",
                description=_meaning(event),
            )
        for event in (event for event in wiring.consumes if event is not wiring.fed):
            subscriber = declared.broker.subscriber(
                event.event_type,
                stream=stream,
                durable=name,
                pull_sub=PullSub(batch_size=1),
                config=ConsumerConfig(filter_subjects=sorted(wiring.pulled_types)),
                decoder=_decoder(event),
                no_reply=True,
                title=f"{name}.{event.event_type}",
                description=f"{wiring.card.summary} Consumes: {_meaning(event)}",
            )
            subscriber(_shim(declared, wiring, event, (ports or {}).get(name, {})))
    return declared


def _shim(declared: Declared, wiring: Wiring, event: type[Event], ports: Ports) -> Callable[..., Awaitable[None]]:
    """Return a handler of one argument which calls the worker and publishes what it emits."""

    async def shim(received: Any) -> None:
        envelope = _opening(received)
        known = {Envelope: envelope, **ports}
        arguments = {name: known[port] for name, port in wiring.ports.items()}
        if wiring.event_parameter is not None:
            arguments[wiring.event_parameter] = received
        events: list[Event] = []
        await collect(wiring, arguments, events)
        for emitted in events:
            publisher = declared.publishers[wiring.name, emitted.event_type]
            await publisher.publish(emitted.model_dump(mode="json"), headers=_opening(emitted).headers())

    shim.__annotations__ = {"received": event, "return": None}
    shim.__name__ = shim.__qualname__ = f"{wiring.name}_{event.event_type.replace('.', '_')}"
    return shim


def _opening(event: Event) -> Envelope:
    """Return an envelope for an event of a test, which has none."""
    source, event_id = "/sealane/tests", str(uuid.uuid4())
    run = run_id(source, event_id)
    return Envelope(id=event_id, source=source, type=event.event_type, run=run, subject=event.about())


def _decoder(event: type[Event]) -> Callable[[NatsMessage], Awaitable[Event]]:
    async def decode(message: NatsMessage) -> Event:
        return event.model_validate_json(message.body)

    return decode


def _meaning(event: type[Event]) -> str:
    return " ".join((event.__doc__ or "").split())
