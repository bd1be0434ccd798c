"""Reads what a stream holds by direct get: no consumer to create, to lose or to forget.

Source: JetStream ADR-31 (direct get, batches with `next_by_subj`; nats-server 2.11 and later). Every page is one
request that names where it begins, so that a reader goes on after any interruption with the next sequence.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import nats.errors
from nats.aio.msg import Msg

from workers.bus.transport.connection import Connection
from workers.bus.transport.headers import DESCRIPTION, STATUS
from workers.failures import Denied, Unavailable

PAGE = 256
TIMEOUT = 5.0
"""Seconds to wait for a page."""
_FROM_SERVER = frozenset(
    {"Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Num-Pending", "Nats-Last-Sequence"}
)
_END, _NONE, _NO_RESPONDERS = "204", "404", "503"


@dataclass(frozen=True, slots=True)
class Stored:
    """One message as its stream holds it."""

    stream: str
    sequence: int
    subject: str
    at: datetime
    headers: Mapping[str, str]
    """As they were published."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages in the order of their sequences, and how many more there are."""

    messages: tuple[Stored, ...]
    pending: int


async def read_page(
    connection: Connection, stream: str, *, subject: str = ">", start: int = 1, size: int = PAGE
) -> Page:
    """Read up to `size` messages on a subject (wildcards allowed) from a sequence on. Raises Unavailable, Denied."""
    asked = {"seq": max(start, 1), "next_by_subj": subject, "batch": size}
    answers = await _ask(connection, stream, asked)
    last = answers[-1].headers or {}
    pending = int(last.get("Nats-Num-Pending", "0"))
    return Page(tuple(_stored(answer) for answer in answers[:-1]), pending)


async def read_one(connection: Connection, stream: str, sequence: int) -> Stored | None:
    """Read the message at a sequence, or None when there is none (any more). Raises Unavailable, Denied."""
    page = await read_page(connection, stream, start=sequence, size=1)
    found = next(iter(page.messages), None)
    return found if found and found.sequence == sequence else None


async def read_all(connection: Connection, stream: str, *, subject: str = ">", start: int = 1) -> AsyncIterator[Stored]:
    """Read all that the stream holds on a subject from a sequence on. Raises Unavailable, Denied."""
    pending = 1
    while pending:
        page = await read_page(connection, stream, subject=subject, start=start)
        for message in page.messages:
            start = message.sequence + 1
            yield message
        pending = page.pending if page.messages else 0


async def _ask(connection: Connection, stream: str, asked: Mapping[str, Any]) -> list[Msg]:
    """Ask for a batch and return the answers, of which the last one only tells that it is the last."""
    inbox = f"{connection.inbox_prefix}.read{time.monotonic_ns():x}"
    answers: list[Msg] = []
    complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def take(answer: Msg) -> None:
        answers.append(answer)
        if STATUS in (answer.headers or {}) and "Nats-Sequence" not in (answer.headers or {}) and not complete.done():
            complete.set_result(None)

    refused_before = len(connection.refusals)
    request = f"$JS.API.DIRECT.GET.{stream}"
    try:
        subscription = await connection.client.subscribe(inbox, cb=take)
        try:
            await connection.client.publish(request, json.dumps(asked).encode(), reply=inbox)
            # Not wait_for: before Python 3.12 it swallows a cancellation that arrives together with the answer.
            async with asyncio.timeout(TIMEOUT):
                await complete
        finally:
            if connection.client.is_connected:
                await subscription.unsubscribe()
    except (TimeoutError, nats.errors.Error) as error:
        if any(request in refusal for refusal in connection.refusals[refused_before:]):
            raise Denied(f"the identity {connection.identity!r} may not read the stream {stream}") from None
        raise Unavailable(f"the stream {stream} cannot be read: NATS gave no answer in time; is it up?") from error
    _refuse(answers[-1], stream)
    return answers


def _refuse(last: Msg, stream: str) -> None:
    headers = last.headers or {}
    status = headers.get(STATUS)
    if status == _NO_RESPONDERS:
        raise Unavailable(f"there is no stream {stream}: `sealane streams apply` makes it")
    if status not in {_END, _NONE}:
        raise Unavailable(f"the stream {stream} cannot be read: {status} {headers.get(DESCRIPTION, '')}")


def _stored(answer: Msg) -> Stored:
    headers = answer.headers or {}
    return Stored(
        stream=headers["Nats-Stream"],
        sequence=int(headers["Nats-Sequence"]),
        subject=headers["Nats-Subject"],
        at=datetime.fromisoformat(headers["Nats-Time-Stamp"]),
        headers={name: value for name, value in headers.items() if name not in _FROM_SERVER},
        body=answer.data,
    )
