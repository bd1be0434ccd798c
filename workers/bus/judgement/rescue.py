"""Messages that nobody can read: found by sequence, buried, and terminated without being received.

A header block that nats-py cannot parse ends the read loop of whoever it is delivered to, again and again. The stream
API answers in JSON, so there the message can be looked at safely.
"""

import asyncio
import json
import logging
from base64 import b64decode
from typing import Any

from workers.bus.judgement.deadletters import bury_unreadable, event_type_of
from workers.bus.transport.connection import Connection
from workers.bus.transport.delivery import TERM, ack_subject
from workers.bus.transport.publisher import Publisher

log = logging.getLogger(__name__)
_READABLE = b"NATS/1.0\r\n"
_SPAN = 16_384
"""How many sequences behind the last delivered one are looked at."""
_AT_ONCE = 64


async def bury_what_cannot_be_read(
    connection: Connection, publisher: Publisher, *, worker: str, stream: str, consumer: str
) -> list[int]:
    """Look at everything delivered and not acknowledged, bury the unreadable, return their sequences.

    Raises Unavailable when a dead letter cannot be stored, and nats errors when the server does not answer.
    """
    info = await _api(connection, f"CONSUMER.INFO.{stream}.{consumer}", {})
    if "config" not in info or not info.get("num_ack_pending"):
        return []
    last = info["delivered"]["stream_seq"]
    first = max(info["ack_floor"]["stream_seq"] + 1, last - _SPAN)
    found: list[int] = []
    for start in range(first, last + 1, _AT_ONCE):
        sequences = range(start, min(start + _AT_ONCE, last + 1))
        for stored in await asyncio.gather(*(_stored(connection, stream, sequence) for sequence in sequences)):
            if stored is not None and _is_unreadable(stored):
                await _bury(connection, publisher, worker, stream, consumer, stored)
                found.append(stored["seq"])
    return found


def _is_unreadable(stored: dict[str, Any]) -> bool:
    return "hdrs" in stored and not b64decode(stored["hdrs"]).startswith(_READABLE)


async def _bury(
    connection: Connection, publisher: Publisher, worker: str, stream: str, consumer: str, stored: dict[str, Any]
) -> None:
    sequence = stored["seq"]
    await bury_unreadable(
        publisher,
        worker=worker,
        stream=stream,
        sequence=sequence,
        event_type=event_type_of(worker, stored["subject"]),
        block=b64decode(stored["hdrs"]),
        body=b64decode(stored.get("data", "")),
    )
    await connection.client.publish(ack_subject(stream, consumer, sequence), TERM + b" unreadable headers")
    log.error("message %s:%d has headers that cannot be read: it is a dead letter now", stream, sequence)


async def _stored(connection: Connection, stream: str, sequence: int) -> dict[str, Any] | None:
    answer = await _api(connection, f"STREAM.MSG.GET.{stream}", {"seq": sequence})
    return answer.get("message")


async def _api(connection: Connection, call: str, request: dict[str, Any]) -> dict[str, Any]:
    answer = await connection.client.request(f"$JS.API.{call}", json.dumps(request).encode(), timeout=5)
    result: dict[str, Any] = json.loads(answer.data)
    return result
