"""Reads CloudEvents 1.0 out of an HTTP request: binary, structured and batched mode.

Sources: CloudEvents HTTP protocol binding 1.0.2, JSON event format 1.0.2. What only the bus may say of an event (`run`,
`cause`, `parentrun`, `hops`, `actor`, and `subject`, which is derived from the data) is not listened to.
"""

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from pydantic_core import from_json, to_json
from starlette.requests import Request

from schemas.envelope import STRUCTURED_CONTENT_TYPE, Envelope, EnvelopeError, from_headers, from_structured
from workers.gateway.problems import Problem, shown
from workers.gateway.protocol import WHOLE

BATCH_CONTENT_TYPE = "application/cloudevents-batch+json"
ACCEPTED = f"application/json, {STRUCTURED_CONTENT_TYPE}, {BATCH_CONTENT_TYPE}"
MOST_EVENTS = 500
"""Events that a batch may hold."""
BODY_SECONDS = 30.0
"""How long a body may take to arrive."""
_DISCARDED, _DISCARDING_SECONDS = 32 * 1024 * 1024, 5.0
_IGNORED = frozenset({"run", "cause", "parentrun", "hops", "actor", "subject"})
_REQUIRED = ("specversion", "id", "source", "type")
_NAMED = re.compile(r"\b(?:ce-)?(specversion|id|source|type|time|traceparent|tracestate|data_base64|data)\b")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(slots=True)  # a value, yet not frozen: see `Envelope`
class Brought:
    """An event as it was brought: its attributes, and its data as JSON."""

    envelope: Envelope
    body: bytes


@dataclass(slots=True)
class Delivery:
    """The events of one request; in a `batch`, what is said of one names its index."""

    events: list[Brought]
    batch: bool


def header_of(request: Request, name: bytes) -> list[str]:
    """Return the values of a header, its name in lower case: `request.headers` decodes all of them at each look."""
    return [value.decode("latin-1") for found, value in request.scope["headers"] if found == name]


def media_type(request: Request) -> str:
    """Return the media type of a request that can be read. Raises Problem (415)."""
    codings = header_of(request, b"content-encoding")
    if (coding := codings[0] if codings else "identity").lower() != "identity":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body is packed ({shown(coding)}): send it as it is, without Content-Encoding",
            headers={"accept-encoding": "identity"},
            attribute="content-encoding",
        )
    given = header_of(request, b"content-type")
    if len(given) > 1:
        raise _unsupported("the header Content-Type is there twice: send it once", "content-type")
    return _media_type(given[0] if given else "application/octet-stream")


@lru_cache(maxsize=64)
def _media_type(header: str) -> str:
    message = EmailMessage()
    try:
        message["content-type"] = header
        found, charset = message.get_content_type(), str(message.get_param("charset", "utf-8"))
    except (ValueError, IndexError):
        found, charset = "unreadable", "utf-8"
    if found not in ACCEPTED.split(", "):
        raise _unsupported(f"the Content-Type is none of {ACCEPTED}", "content-type")
    if charset.lower() not in {"utf-8", "us-ascii"}:
        raise _unsupported(f"the charset is {shown(charset)}: JSON is sent as UTF-8", "content-type")
    return found


async def body_of(request: Request, limit: int) -> bytes:
    """Return the body. Raises Problem: 413 when it is larger than `limit` bytes, 408 when it takes too long."""
    declared = header_of(request, b"content-length")
    if declared and declared[0].isdecimal() and int(declared[0]) > limit:
        await discard(request)
        raise _too_large(limit)
    if request.scope.get(WHOLE):
        body = await _received(request, limit)
    else:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _received(request, limit)
        except TimeoutError:
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, f"the body did not arrive in {BODY_SECONDS:g} s") from None
    if len(body) > limit:
        await discard(request)
        raise _too_large(limit)
    return body


async def _received(request: Request, limit: int) -> bytes:
    """Return the body, or the first of it when it is larger than the limit."""
    body, more = b"", True
    while more and len(body) <= limit:
        message = await request.receive()
        if message["type"] != "http.request":
            raise Problem(HTTPStatus.BAD_REQUEST, "the connection ended before the body")
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def events_of(media: str, headers: Iterable[tuple[str, str]], body: bytes) -> list[Brought]:
    """Return the events of a request, in order. Raises Problem (400, 413, 415) that names attribute or field."""
    if media == "application/json":
        return [_binary(headers, body)]
    found = _parsed(body)
    if media == STRUCTURED_CONTENT_TYPE:
        return [_structured(found, {})]
    if not isinstance(found, list) or not found:
        raise Problem(HTTPStatus.BAD_REQUEST, "a batch is a JSON list of structured CloudEvents, and not empty")
    return batch_of(found)


def batch_of(records: Sequence[Any]) -> list[Brought]:
    """Return the events of a batch of structured CloudEvents, in order. Raises Problem, as `events_of`."""
    if len(records) > MOST_EVENTS:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the batch holds {len(records)} events: send at most {MOST_EVENTS}"
        )
    return [_structured(record, {"index": index}) for index, record in enumerate(records)]


def _binary(headers: Iterable[tuple[str, str]], body: bytes) -> Brought:
    attributes: dict[str, str] = {}
    for header, value in headers:
        name = header.removeprefix("ce-")
        if (name == header and name not in {"traceparent", "tracestate"}) or name in _IGNORED:
            continue
        if header in attributes:
            raise _wrong(f"the header {header} is there twice: send it once", {"attribute": name})
        if not value.isascii():
            raise _wrong(f"the header {header} is not ASCII: percent-encode its UTF-8", {"attribute": name})
        attributes[header] = value
    for name in _REQUIRED:
        if not attributes.get(f"ce-{name}"):
            raise _missing(name, {})
    if attributes.get("ce-time") == "":
        raise _empty("time", {})
    # Which run it opens is said when it enters; with any run at all it is read in one go.
    attributes["ce-run"] = "-"
    try:
        return _clean(Brought(from_headers(attributes), body), {})
    except EnvelopeError as error:
        raise _wrong(str(error), _attribute(str(error))) from None


def _structured(record: Any, place: dict[str, Any]) -> Brought:
    if not isinstance(record, dict):
        raise _wrong("a structured CloudEvent is a JSON object with specversion, id, source, type and data", place)
    kept = {name: value for name, value in record.items() if name not in _IGNORED}
    for name in _REQUIRED:
        if not kept.get(name):
            raise _missing(name, place)
    if kept.get("time") == "":
        raise _empty("time", place)
    content = "application/json" if kept.get("datacontenttype") is None else kept["datacontenttype"]
    if not isinstance(content, str) or content.partition(";")[0].strip().lower() != "application/json":
        raise _unsupported("the data of an event is JSON: leave out datacontenttype", "datacontenttype")
    try:
        envelope, body = from_structured(to_json(kept))
        return _clean(Brought(envelope, body), place)
    except (EnvelopeError, ValueError, RecursionError) as error:
        raise _wrong(str(error), _attribute(str(error)) | place) from None


def _missing(name: str, place: dict[str, Any]) -> Problem:
    return _wrong(f"the CloudEvents attribute {name!r} is missing", {"attribute": name} | place)


def _empty(name: str, place: dict[str, Any]) -> Problem:
    return _wrong(f"the CloudEvents attribute {name!r} is empty: leave it out", {"attribute": name} | place)


def _clean(brought: Brought, place: dict[str, Any]) -> Brought:
    for name in ("id", "source", "type"):
        if _CONTROL.search(getattr(brought.envelope, name)):
            raise _wrong(f"the attribute {name!r} holds control characters", {"attribute": name} | place)
    return brought


def _attribute(sentence: str) -> dict[str, Any]:
    """Return which attribute a sentence of the envelope is about: it names it before anything else."""
    found = _NAMED.search(sentence)
    return {"attribute": found[1]} if found else {}


def _parsed(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from None


async def discard(request: Request) -> None:
    """Let a client that is still sending come to an end, within bounds: else it sees a reset and no answer."""
    if "100-continue" in request.headers.get("expect", "").lower():
        return
    dropped = 0
    try:
        async with asyncio.timeout(_DISCARDING_SECONDS):
            while dropped < _DISCARDED:
                message = await request.receive()
                dropped += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _wrong(detail: str, members: dict[str, Any]) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, detail, **members)


def _unsupported(detail: str, attribute: str) -> Problem:
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, headers={"accept": ACCEPTED}, attribute=attribute)


def _too_large(limit: int) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than the {limit} bytes that the bus takes: send less, or a reference",
        headers={"connection": "close"},
    )
