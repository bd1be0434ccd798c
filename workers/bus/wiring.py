"""The signature is the wiring: reads from a worker's signature what it consumes, needs and emits.

The first parameter is the event consumed (an event class, a union of them, or `Event` for all events); a source has
none. The others are ports, by type. What is returned or yielded is what is emitted.
"""

import inspect
import types
import typing
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from schemas.catalogue import EVENTS
from schemas.envelope import Envelope
from schemas.events import Event
from workers.card import Card
from workers.ports import Feeds, Progress

Handler = Callable[..., Any]
_ITERATORS = (AsyncIterator, typing.AsyncIterator, typing.AsyncGenerator)


class WiringError(TypeError):
    """A worker's signature cannot be wired; the sentence says which parameter and what is expected."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a worker's signature says."""

    card: Card
    handler: Handler
    event_parameter: str | None
    consumes: tuple[type[Event], ...]
    emits: tuple[type[Event], ...]
    ports: dict[str, type]
    """Parameter name → type asked for."""
    yields: bool
    """Whether the handler is an async generator."""
    tick: "Wiring | None" = None
    """What a clock wakes, if it is another function than the handler."""

    @property
    def name(self) -> str:
        """The worker's name."""
        return self.card.name

    @property
    def asked(self) -> frozenset[type]:
        """All types of ports that the handler and what its tick wakes ask for, and the feeds of what comes by them."""
        feeds = frozenset({Feeds}) if self.fed else frozenset()
        return frozenset(self.ports.values()) | feeds | (self.tick.asked if self.tick else frozenset())

    @property
    def consumed_types(self) -> tuple[str, ...]:
        """The CloudEvents types consumed."""
        return tuple(event.event_type for event in self.consumes)

    @property
    def pulled_types(self) -> tuple[str, ...]:
        """The types consumed that are events of the bus, and so come by a durable of its stream."""
        return tuple(event.event_type for event in self.consumes if event.door != "feed")

    @property
    def fed(self) -> type[Event] | None:
        """What it consumes that comes from feeds, outside the bus; None if nothing does."""
        return next((event for event in self.consumes if event.door == "feed"), None)

    @property
    def emitted_types(self) -> tuple[str, ...]:
        """The CloudEvents types emitted."""
        return tuple(event.event_type for event in self.emits)


def wire(card: Card, handler: Handler, tick: Handler | None = None) -> Wiring:
    """Read a handler's signature, and that of the function which the card's tick wakes. Raises WiringError."""
    if tick is not None:
        wired, ticking = wire(card, handler), wire(card, tick)
        if ticking.consumes:
            raise WiringError(f"{card.name}: what a tick wakes gets no event, only ports")
        return replace(wired, emits=tuple(dict.fromkeys((*wired.emits, *ticking.emits))), tick=ticking)
    hints = typing.get_type_hints(handler)
    returned = hints.pop("return", type(None))
    parameters = list(inspect.signature(handler).parameters.values())
    for parameter in parameters:
        if parameter.name not in hints:
            raise WiringError(f"{card.name}: parameter {parameter.name!r} has no type, so nothing can be given to it")
    event_parameter: str | None = None
    consumes: tuple[type[Event], ...] = ()
    if parameters:
        first = parameters[0].name
        consumes = _events_in(hints[first])
        if consumes:
            event_parameter = first
            del hints[first]
    for name, port in hints.items():
        if _events_in(port):
            raise WiringError(f"{card.name}: parameter {name!r} is an event, but only the first parameter may be one")
    if any(event.door == "feed" for event in consumes) and (unheard := {Progress, Envelope} & set(hints.values())):
        raise WiringError(
            f"{card.name}: it asks for {unheard.pop().__name__}, but what comes from a feed has neither progress nor"
            " envelope until it is on the bus"
        )
    return Wiring(
        card=card,
        handler=handler,
        event_parameter=event_parameter,
        consumes=consumes,
        emits=_emitted(card, returned),
        ports=hints,
        yields=inspect.isasyncgenfunction(handler),
    )


def _emitted(card: Card, returned: Any) -> tuple[type[Event], ...]:
    origin = typing.get_origin(returned)
    if origin in _ITERATORS or origin in {list, tuple}:
        returned = typing.get_args(returned)[0]
    if returned is type(None):
        return ()
    events = _events_in(returned)
    if not events:
        raise WiringError(f"{card.name}: it returns {returned!r}, which is no event of the catalogue, nor None")
    return events


def _events_in(annotation: Any) -> tuple[type[Event], ...]:
    if annotation is Event:
        return EVENTS
    if isinstance(annotation, type) and issubclass(annotation, Event):
        return (annotation,)
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        found = [_events_in(member) for member in members]
        return tuple(event for events in found for event in events) if all(found) else ()
    return ()


async def collect(wiring: Wiring, arguments: dict[str, Any], events: list[Event]) -> None:
    """Call the handler and append what it emits, in order; what was yielded before a failure has been appended."""
    outcome = wiring.handler(**arguments)
    if wiring.yields:
        async for event in outcome:
            events.append(event)  # noqa: PERF401 - a comprehension would lose what came before a failure
        return
    result = await typing.cast("Awaitable[Any]", outcome)
    if isinstance(result, (list, tuple)):
        events.extend(result)
    elif result is not None:
        events.append(result)
