"""Poison becomes a dead letter, not a hole: stored in DEAD before the original is terminated."""

from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote

from schemas.envelope import now
from schemas.identity import digest_of
from workers.bus.judgement.verdict import Failure
from workers.bus.transport import headers as names
from workers.bus.transport.publisher import PubAck, Publisher

_KEPT = ("ce-", "traceparent", "tracestate", "content-type")
_BLOCK_LIMIT = 12_000
_ENCODED_LIMIT = 16_000
_END = slice(-500)
_BEGINNING = slice(500, None)
"""The end of a stack tells most, the beginning of a sentence."""
_OURS = (names.ATTEMPTS, names.FIRST_SEEN, names.REPLAY_OF, names.REPLAYED_BY)


async def bury(
    publisher: Publisher,
    *,
    worker: str,
    stream: str,
    sequence: int,
    event_type: str,
    original: Mapping[str, str],
    body: bytes,
    failure: Failure,
    attempts: int,
) -> PubAck:
    """Store a dead letter with the event, its headers, the reason, the stack and the attempts.

    It always fits: EVENTS takes messages only up to 64 KiB below the server's limit, and what is added is truncated.
    Burying the same message again is a duplicate, not a second letter.
    """
    headers = {name: value for name, value in original.items() if name.lower().startswith(_KEPT) or name in _OURS}
    headers |= _why(worker, failure, attempts) | {names.ORIGIN_STREAM: stream, names.ORIGIN_SEQUENCE: str(sequence)}
    return await publisher.publish(
        f"dead.{worker}.{event_type}", body, headers, message_id=copy_id("dead", worker, stream, sequence, original)
    )


def copy_id(purpose: str, worker: str, stream: str, sequence: int, original: Mapping[str, str]) -> str:
    """Return the message id of what is stored in place of a message, the same when the message comes again.

    The place alone would not do: a stream made anew counts from 1 again, and the server would swallow the copy.
    """
    identity = [value for name, value in sorted(original.items()) if name.lower() in {"ce-id", "ce-source"}]
    return digest_of(purpose, worker, stream, str(sequence), *identity)


async def bury_unreadable(
    publisher: Publisher, *, worker: str, stream: str, sequence: int, event_type: str, block: bytes, body: bytes
) -> PubAck:
    """Store a message whose header block no client can parse: the block as base64 in a header, the body as it is."""
    failure = Failure(
        "dead",
        "unreadable",
        "UnreadableHeaders",
        "the header block is not one that a client can parse; whoever published it must send `NATS/1.0` CRLF first",
    )
    headers = _why(worker, failure, 1) | {
        names.ORIGIN_STREAM: stream,
        names.ORIGIN_SEQUENCE: str(sequence),
        names.DEAD_BLOCK: b64encode(block[:_BLOCK_LIMIT]).decode(),
    }
    return await publisher.publish(
        f"dead.{worker}.{event_type}",
        body,
        headers,
        message_id=copy_id("dead", worker, stream, sequence, {"ce-id": headers[names.DEAD_BLOCK]}),
    )


def _why(worker: str, failure: Failure, attempts: int) -> dict[str, str]:
    return {
        names.DEAD_WORKER: worker,
        names.DEAD_REASON: failure.reason,
        names.DEAD_ERROR: failure.error,
        names.DEAD_MESSAGE: _encoded(failure.message, cut=_END),
        names.DEAD_STACK: _encoded(failure.stack, cut=_BEGINNING),
        names.DEAD_AT: now(),
        names.ATTEMPTS: str(attempts),
    }


def _encoded(text: str, *, cut: slice) -> str:
    """Percent-encode for a header, cutting the text in steps until it fits."""
    while len(encoded := quote(text, safe=" !#$&'()*+,/:;=?@[]-._~")) > _ENCODED_LIMIT:
        text = text[cut]
    return encoded


def event_type_of(worker: str, subject: str) -> str:
    """Return the event type that a message's subject promises, whichever stream it comes from."""
    return subject.removeprefix(f"retry.{worker}.")
