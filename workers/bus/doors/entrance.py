"""How an event from outside comes onto the bus: checked against the catalogue, stored once, contradictions named."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from pydantic import ValidationError

from schemas.catalogue import CATALOGUE
from schemas.envelope import Envelope, EnvelopeError, from_headers, is_plain, now
from schemas.events import Event
from schemas.explanations import explain
from schemas.identity import run_id
from schemas.progress import EventRef
from workers.bus.topology.streams import HEADROOM
from workers.bus.transport.connection import Connection
from workers.bus.transport.publisher import PubAck, Publisher
from workers.bus.transport.stored import read_one
from workers.failures import Invalid, Mismatch, SealaneError

_AT_ONCE = 512


@dataclass(slots=True)  # a value, yet not frozen: see `Envelope`
class Entry:
    """An event that may enter: it fits the catalogue, and its attributes are right."""

    envelope: Envelope
    event: Event
    body: bytes
    """The JSON body as it is stored."""


@dataclass(slots=True)
class Entered:
    """An event that is on the bus."""

    entry: Entry
    ack: PubAck
    is_its_own: bool = True
    """Whether what is stored is of this actor: somebody else may have brought the same before."""

    @property
    def reference(self) -> EventRef:
        """How progress messages speak of it."""
        envelope = self.entry.envelope
        return EventRef(
            type=envelope.type,
            source=envelope.source,
            id=envelope.id,
            subject=envelope.subject,
            stream=self.ack.stream,
            sequence=self.ack.sequence,
        )


def event_class(event_type: str) -> type[Event]:
    """Return the model of a type. Raises Invalid with the types there are."""
    event = CATALOGUE.get(event_type)
    if event is None:
        raise Invalid(f"there is no event {event_type!r}: the types are {', '.join(sorted(CATALOGUE))}")
    return event


def check(
    event_type: str,
    body: bytes | str,
    *,
    source: str,
    event_id: str,
    actor: str,
    run: str | None = None,
    time: str | None = None,
    traceparent: str | None = None,
    tracestate: str | None = None,
) -> Entry:
    """Return the entry for a JSON body. Raises Invalid, naming the field or attribute and what is expected."""
    model = event_class(event_type)
    try:
        event = model.model_validate_json(body)
    except ValidationError as error:
        raise Invalid(explain(model, error)) from None
    for name, value in {"id": event_id, "source": source, "actor": actor}.items():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Invalid(f"the attribute {name!r} holds half a surrogate pair: send valid Unicode") from None
    envelope = Envelope(
        id=event_id,
        source=source,
        type=event_type,
        run=run if run is not None else run_id(source, event_id),
        subject=event.about(),
        actor=actor,
        time=time,
        traceparent=traceparent,
        tracestate=tracestate,
    )
    try:
        if is_plain(envelope):
            envelope.time = envelope.time or now()
        else:
            # What cannot be read again as it is must not be stored.
            envelope = from_headers(envelope.headers())
        return Entry(envelope, event, event.model_dump_json().encode())
    except EnvelopeError as error:
        raise Invalid(str(error)) from None


def check_size(connection: Connection, entry: Entry) -> None:
    """Raise Invalid when an event is larger than EVENTS takes, before anything is stored."""
    limit, size = connection.client.max_payload - HEADROOM, len(entry.body)
    if size > limit:
        raise Invalid(
            f"the event has {size} bytes, more than the {limit} that the bus takes: send less, or a reference"
        )


async def enter(connection: Connection, publisher: Publisher, entry: Entry) -> Entered:
    """Store an event. Raises Mismatch when its identity is taken by an event of other content, Unavailable."""
    envelope = entry.envelope
    ack = await publisher.publish(envelope.type, entry.body, envelope.headers(), message_id=envelope.message_id)
    is_its_own = not ack.duplicate or await _is_actors(connection, entry, ack)
    return Entered(entry, ack, is_its_own)


async def enter_all(
    connection: Connection, publisher: Publisher, entries: Sequence[Entry]
) -> list[Entered | SealaneError]:
    """Store events in their order, many at once; for each one return what became of it."""
    outcomes: list[Entered | SealaneError] = []
    if len(entries) == 1:
        try:
            return [await enter(connection, publisher, entries[0])]
        except SealaneError as error:
            return [error]
    for begin in range(0, len(entries), _AT_ONCE):
        storing = (enter(connection, publisher, entry) for entry in entries[begin : begin + _AT_ONCE])
        for outcome in await asyncio.gather(*storing, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, SealaneError):
                raise outcome
            outcomes.append(outcome)
    return outcomes


async def _is_actors(connection: Connection, entry: Entry, ack: PubAck) -> bool:
    """Compare with what is stored, since the server knows ids only; return whether it is of the same actor.

    Raises Mismatch when the content differs.
    """
    stored = await read_one(connection, ack.stream, ack.sequence)
    if stored is None:
        return False
    try:
        same = type(entry.event).model_validate_json(stored.body) == entry.event
    except ValidationError:
        same = False
    if not same:
        raise Mismatch(
            f"another {entry.envelope.type} with id {entry.envelope.id!r} from {entry.envelope.source!r} is stored "
            f"({ack.stream} {ack.sequence}), and its content differs: give the new event an id of its own"
        )
    return unquote(stored.headers.get("ce-actor", "")) == (entry.envelope.actor or "")
