"""Dead letters: read, replayed, dropped.

A replay goes to the worker which gave up, on its retry subject, under a message id of its own: under the old one the
server would take it for a repeat and swallow it. Its identity stays, so that claims and natural keys still hold. An
edited replay is a new event, caused by the original.
"""

import json
from base64 import b64decode
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from schemas.envelope import Envelope, EnvelopeError, read
from schemas.feeds import PubSubMessage
from schemas.identity import digest_of
from workers.bus.doors.entrance import check
from workers.bus.doors.follow import last_sequence
from workers.bus.topology.streams import DEAD, retry_stream
from workers.bus.transport import headers as names
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import MESSAGE_NOT_FOUND, ApiError, JetStreamApi
from workers.bus.transport.publisher import PubAck, Publisher
from workers.bus.transport.stored import Stored, read_all, read_one
from workers.failures import Invalid, NotFound

SOURCE = "/sealane/replay"
"""The source of events that were edited when they were replayed."""
_NO_SUCH_SEQUENCE = (10043, 10057)
"""What the server says of a sequence that was deleted, and of one that never was."""
_WINDOW = 256
"""Sequences that are looked at first for the newest letters."""
_DIGITS = 19
"""A longer number is not one of ours."""
_STAYS_BEHIND = ("sealane-", "nats-")


@dataclass(frozen=True, slots=True)
class Replay:
    """One replay of a dead letter."""

    stream: str
    sequence: int
    at: str
    by: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that a worker gave up."""

    stored: Stored
    worker: str
    type: str
    reason: str
    error: str
    message: str
    stack: str
    attempts: int
    origin_stream: str
    origin_sequence: int
    replay_of: int
    """The dead letter whose replay came to this end; 0 when it was none."""
    block: bytes | None
    """The original header block, where no client could read it."""
    envelope: Envelope | None
    """None when the attributes are not those of an event."""
    body: bytes
    """The event's body, taken out of the structured mode where it came in that."""
    replays: tuple[Replay, ...] = ()

    @property
    def sequence(self) -> int:
        """Its number in DEAD."""
        return self.stored.sequence

    @property
    def content(self) -> Any:
        """The body: what its JSON holds, else its text."""
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body.decode(errors="replace")


async def read_letters(
    connection: Connection, *, worker: str | None = None, event_type: str | None = None
) -> AsyncGenerator[DeadLetter, None]:
    """Yield the dead letters, oldest first, without their replays. Raises Unavailable, Denied."""
    subject = f"dead.{worker or '*'}.{event_type or '>'}"
    async for stored in read_all(connection, DEAD, subject=subject):
        yield _letter(stored)


async def newest_letters(
    connection: Connection, *, worker: str | None = None, before: int | None = None
) -> AsyncGenerator[DeadLetter, None]:
    """Yield the dead letters from before a sequence on, newest first. Raises Unavailable, Denied."""
    end = before if before is not None else await last_sequence(connection, DEAD) + 1
    window = _WINDOW
    while end > 1:
        start, letters = max(1, end - window), []
        async for stored in read_all(connection, DEAD, subject=f"dead.{worker or '*'}.>", start=start):
            if stored.sequence >= end:
                break
            letters.append(_letter(stored))
        for letter in reversed(letters):
            yield letter
        end, window = start, window * 2


async def read_letter(connection: Connection, sequence: int) -> DeadLetter:
    """Return a dead letter with its replays. Raises NotFound, Unavailable, Denied."""
    stored = await read_one(connection, DEAD, sequence)
    if stored is None:
        raise _missing(sequence)
    return (await with_replays(connection, [_letter(stored)]))[0]


async def with_replays(connection: Connection, letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    """Return the letters with their replays, found in the workers' streams of retries. Raises Unavailable, Denied."""
    waiting = list(letters)
    found: dict[int, list[Replay]] = {}
    for worker in {letter.worker for letter in waiting}:
        async for stored in read_all(connection, retry_stream(worker), subject=f"retry.{worker}.>"):
            if origin := _number(stored.headers.get(names.REPLAY_OF)):
                by = unquote(stored.headers.get(names.REPLAYED_BY, ""))
                replay = Replay(stored.stream, stored.sequence, stored.at.isoformat(timespec="seconds"), by)
                found.setdefault(origin, []).append(replay)
    return [replace(letter, replays=tuple(found.get(letter.sequence, ()))) for letter in waiting]


async def replay(
    publisher: Publisher, letter: DeadLetter, *, by: str, changes: Mapping[str, Any] | None = None
) -> tuple[Envelope, PubAck]:
    """Give a dead letter back to the worker which gave it up, its attempts forgotten; return what was stored where.

    With `changes` (top-level fields) it becomes a new event, which must fit the catalogue. Raises Invalid when it
    cannot be replayed, Unavailable.
    """
    envelope = letter.envelope
    if envelope is None:
        raise Invalid(
            f"dead letter {letter.sequence} cannot be replayed: nobody could read the original as an event. "
            "Publish it anew (`sealane publish`), and drop this one"
        )
    headers = {name: value for name, value in letter.stored.headers.items() if not _is_left_behind(name)}
    body = letter.stored.body
    if changes is not None:
        envelope, body = _edited(letter, envelope, changes, by)
        headers = envelope.headers()
    headers |= {names.REPLAY_OF: str(letter.sequence), names.REPLAYED_BY: by}
    number = len(letter.replays) + 1
    ack = await publisher.publish(
        f"retry.{letter.worker}.{letter.type}", body, headers, message_id=f"replay:{letter.sequence}:{number}"
    )
    return envelope, ack


async def drop(connection: Connection, sequence: int) -> None:
    """Delete a dead letter for good. Raises NotFound, Unavailable, Denied."""
    try:
        await JetStreamApi(connection).request(f"STREAM.MSG.DELETE.{DEAD}", {"seq": sequence})
    except ApiError as error:
        if error.code in {MESSAGE_NOT_FOUND, *_NO_SUCH_SEQUENCE}:
            raise NotFound(
                f"there is no dead letter {sequence} (any more): `sealane dead list` shows those there are"
            ) from None
        raise


def require_editable(letter: DeadLetter) -> None:
    """Raise Invalid when no field of a dead letter may be set."""
    if letter.type == PubSubMessage.event_type:
        raise Invalid(
            f"dead letter {letter.sequence} holds what a feed delivered, and that stays as it was: mend its mapping in"
            " SEALANE_FEEDS and replay it as it is, or publish the event that it means (`sealane publish`)"
        )
    if not isinstance(letter.content, dict):
        raise Invalid(f"dead letter {letter.sequence} holds no JSON object, so no field of it can be set")


def _edited(letter: DeadLetter, origin: Envelope, changes: Mapping[str, Any], by: str) -> tuple[Envelope, bytes]:
    require_editable(letter)
    text = json.dumps(letter.content | dict(changes))
    entry = check(letter.type, text, source=SOURCE, event_id="edited", actor=by, run=origin.run)
    edited = replace(
        entry.envelope,
        id=digest_of("edited", origin.message_id, entry.body.decode()),
        cause=origin.message_id,
        parentrun=origin.parentrun,
        hops=origin.hops + 1,
        traceparent=origin.traceparent,
        tracestate=origin.tracestate,
    )
    return edited, entry.body


def _is_left_behind(name: str) -> bool:
    return name.lower().startswith(_STAYS_BEHIND)


def _letter(stored: Stored) -> DeadLetter:
    headers = stored.headers
    _, worker, event_type = stored.subject.split(".", 2)
    block = headers.get(names.DEAD_BLOCK)
    envelope, body = None, stored.body
    if block is None:
        with suppress(EnvelopeError):
            envelope, body = read(headers, stored.body)
    return DeadLetter(
        stored=stored,
        worker=headers.get(names.DEAD_WORKER, worker),
        type=event_type,
        reason=headers.get(names.DEAD_REASON, "unknown"),
        error=headers.get(names.DEAD_ERROR, ""),
        message=unquote(headers.get(names.DEAD_MESSAGE, "")),
        stack=unquote(headers.get(names.DEAD_STACK, "")),
        attempts=_number(headers.get(names.ATTEMPTS)),
        origin_stream=headers.get(names.ORIGIN_STREAM, ""),
        origin_sequence=_number(headers.get(names.ORIGIN_SEQUENCE)),
        replay_of=_number(headers.get(names.REPLAY_OF)),
        block=b64decode(block) if block is not None else None,
        envelope=envelope,
        body=body,
    )


def _number(text: str | None) -> int:
    return int(text) if text and len(text) <= _DIGITS and text.isascii() and text.isdigit() else 0


def _missing(sequence: int) -> NotFound:
    return NotFound(f"there is no dead letter {sequence} (any more): `sealane dead list` shows those there are")
