"""The CloudEvents 1.0 envelope in its NATS binding: binary mode (headers) and structured mode (one JSON object).

Sources: CloudEvents 1.0.2 (core and JSON format), NATS protocol binding 1.0.3-wip (header values percent-encoded),
the Distributed Tracing extension (`traceparent`, `tracestate`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from time import time_ns
from typing import Any
from urllib.parse import quote, unquote

from pydantic_core import from_json, to_json

from schemas.identity import ID_PATTERN, message_id, run_id

STRUCTURED_CONTENT_TYPE = "application/cloudevents+json"
HOPS_LIMIT = 32
"""An event whose chain of causes is longer is part of a loop."""
MAX_ATTRIBUTE = 2048
"""Characters that an attribute may have."""

_SAFE = "!#$&'()*+,/:;=?@[]-._~`^|{}<>\\"
_PLAIN = re.compile(r"[\x21\x23\x24\x26-\x7e]*").fullmatch
_UNENCODED = re.compile(r"[\x21\x23\x24\x26-\x7e]+").fullmatch
_MESSAGE_ID = "Nats-Msg-Id"
_RUN = re.compile(ID_PATTERN.strip("^$")).fullmatch
_TIME = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
).fullmatch
_HOPS = re.compile(r"[0-9]{1,6}").fullmatch
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}").fullmatch
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}").fullmatch
_EXTENSIONS = ("run", "cause", "parentrun", "actor", "traceparent", "tracestate")
_ATTRIBUTES = ("specversion", "id", "source", "type", "subject", "time", "hops", *_EXTENSIONS)
_TRACING = {"traceparent": "traceparent", "tracestate": "tracestate"}
_BY_HEADER = {f"ce-{name}": name for name in _ATTRIBUTES} | _TRACING


class EnvelopeError(ValueError):
    """The CloudEvents attributes are missing or wrong; the sentence names the attribute and the remedy."""


@dataclass(slots=True)  # a value, yet not frozen: freezing costs three times as much per message
class Envelope:
    """Who says what about which thing, and why.

    `cause` is the message id of the event that led to this one, `hops` the length of that chain, `run` the run that
    all of it belongs to, `parentrun` the run that opened this one, `actor` the authenticated principal.
    """

    id: str
    source: str
    type: str
    run: str
    time: str | None = None
    subject: str | None = None
    cause: str | None = None
    parentrun: str | None = None
    hops: int = 0
    actor: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    _message_id: str | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def message_id(self) -> str:
        """The `Nats-Msg-Id` under which this event is stored."""
        if self._message_id is None:
            self._message_id = message_id(self.type, self.source, self.id)
        return self._message_id

    def headers(self) -> dict[str, str]:
        """Return the NATS headers of the binary mode, percent-encoded."""
        encoded: Callable[[str], str] = percent_encoded
        if _PLAIN(f"{self.id}{self.source}{self.type}{self.subject or ''}{self.cause or ''}"):
            encoded = str
        headers = {
            "ce-specversion": "1.0",
            "ce-id": encoded(self.id),
            "ce-source": encoded(self.source),
            "ce-type": encoded(self.type),
            "ce-run": self.run,
            "ce-time": self.time or now(),
        }
        if self.hops:
            headers["ce-hops"] = str(self.hops)
        if self.subject:
            headers["ce-subject"] = encoded(self.subject)
        if self.cause:
            headers["ce-cause"] = encoded(self.cause)
        if self.parentrun:
            headers["ce-parentrun"] = self.parentrun
        if self.actor:
            headers["ce-actor"] = percent_encoded(self.actor)
        if self.traceparent:
            headers["traceparent"] = self.traceparent
        if self.tracestate:
            headers["tracestate"] = self.tracestate
        return headers

    def structured(self, data: bytes) -> dict[str, Any]:
        """Return the JSON object of the structured mode around the event's JSON body."""
        attributes = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": self.time or now(),
            "datacontenttype": "application/json",
            "hops": self.hops,
        } | {name: getattr(self, name) for name in _EXTENSIONS}
        return {name: value for name, value in attributes.items() if value not in {None, ""}} | {
            "data": from_json(data, allow_inf_nan=False)
        }


def now() -> str:
    """Return the current time as RFC 3339 with milliseconds."""
    seconds, milliseconds = divmod(time_ns() // 1_000_000, 1000)
    return f"{_to_the_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=8)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def read(headers: Mapping[str, str], body: bytes) -> tuple[Envelope, bytes]:
    """Read the envelope of a NATS message in either mode, and return it with the event's JSON body.

    Raises EnvelopeError.
    """
    content_type = headers.get("content-type")
    if content_type is None:
        if "ce-specversion" in headers:
            return from_headers(headers), body
        content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    if content_type.lower().startswith(STRUCTURED_CONTENT_TYPE):
        return from_structured(body)
    return from_headers(headers), body


def from_headers(headers: Mapping[str, str]) -> Envelope:
    """Read the envelope from binary-mode headers; names count in any case. Raises EnvelopeError."""
    return _as_we_write_it(headers) or _as_others_may(headers)


def _as_we_write_it(headers: Mapping[str, str]) -> Envelope | None:
    """Read headers of the plainest form in one go; None leaves everything else, faults too, to the thorough way.

    On the hot path of every event: about a third of the thorough way's time.
    """
    get = headers.get
    event_id, source, event_type, run = get("ce-id"), get("ce-source"), get("ce-type"), get("ce-run")
    if not (event_id and source and event_type and run) or get("ce-specversion") != "1.0":
        return None
    time, subject, cause, hops = get("ce-time"), get("ce-subject"), get("ce-cause"), get("ce-hops")
    actor = get("ce-actor")
    known = 5 + (time is not None) + (subject is not None) + (cause is not None) + (hops is not None)
    known += actor is not None
    together = f"{event_id}{source}{event_type}{subject or ''}{cause or ''}{actor or ''}"
    if (
        len(headers) > known + (_MESSAGE_ID in headers)
        or len(together) > MAX_ATTRIBUTE
        or not _UNENCODED(together)
        or not _RUN(run)
        or (time and not _TIME(time))
        or (hops and not _HOPS(hops))
    ):
        return None
    said = time or None, subject or None, cause or None
    return Envelope(event_id, source, event_type, run, *said, None, int(hops or 0), actor or None)


def is_plain(envelope: Envelope) -> bool:
    """Whether whoever reads its headers has just this envelope, but for its time."""
    together = f"{envelope.id}{envelope.source}{envelope.type}{envelope.subject or ''}{envelope.actor or ''}"
    is_rare = envelope.cause or envelope.parentrun or envelope.traceparent or envelope.hops
    fits = len(together) <= MAX_ATTRIBUTE and _UNENCODED(together) and _RUN(envelope.run)
    return bool(not is_rare and fits and (envelope.time is None or _TIME(envelope.time)))


def _as_others_may(headers: Mapping[str, str]) -> Envelope:
    attributes: dict[str, str] = {}
    for header, value in headers.items():
        name = _BY_HEADER.get(header) or _BY_HEADER.get(header.lower())
        if name is None:
            continue
        if name in attributes and name not in _TRACING:
            raise EnvelopeError(f"the header ce-{name} is there twice, in different case: send it once")
        attributes[name] = _decoded(name, value) if "%" in value and name not in _TRACING else value
    return _checked(attributes)


def from_structured(body: bytes) -> tuple[Envelope, bytes]:
    """Read envelope and body from one structured-mode JSON object. Raises EnvelopeError."""
    try:
        record = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise EnvelopeError(f"the structured CloudEvent is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise EnvelopeError("the structured CloudEvent is not a JSON object: send one object with id, source and type")
    if "data_base64" in record:
        raise EnvelopeError("data_base64 is not accepted: send the event's JSON object in `data`")
    if "data" not in record:
        raise EnvelopeError("the structured CloudEvent has no `data`: send the event's JSON object there")
    attributes = {name: _text(name, record[name]) for name in _ATTRIBUTES if record.get(name) is not None}
    return _checked(attributes), to_json(record["data"])


def _text(name: str, value: object) -> str:
    if name == "hops" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise EnvelopeError(f"the CloudEvents attribute {name!r} is not a string: send it in quotes")
    return value


def _decoded(name: str, value: str) -> str:
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise EnvelopeError(f"the header ce-{name} is not percent-encoded UTF-8: encode it as RFC 3986 says") from None


def _checked(attributes: Mapping[str, str]) -> Envelope:
    get = attributes.get
    event_id, source, event_type = get("id"), get("source"), get("type")
    if not (event_id and source and event_type):
        missing = next(name for name in ("id", "source", "type") if not get(name))
        raise EnvelopeError(f"the CloudEvents attribute {missing!r} is missing: every event needs id, source and type")
    for name, value in attributes.items():
        if len(value) > MAX_ATTRIBUTE:
            raise EnvelopeError(f"the attribute {name!r} is longer than {MAX_ATTRIBUTE} characters: shorten it")
        if not value.isascii():
            _encodable(name, value)
    run = get("run") or run_id(source, event_id)
    _well_formed(attributes, run)
    traceparent, tracestate = get("traceparent"), get("tracestate")
    if traceparent is None or not _TRACEPARENT(traceparent):
        traceparent = tracestate = None
    return Envelope(
        event_id,
        source,
        event_type,
        run,
        get("time") or None,
        get("subject") or None,
        get("cause") or None,
        get("parentrun") or None,
        int(get("hops") or 0),
        get("actor") or None,
        traceparent,
        tracestate if tracestate and _TRACESTATE(tracestate) else None,
    )


def _well_formed(attributes: Mapping[str, str], run: str) -> None:
    get = attributes.get
    if get("specversion", "1.0") != "1.0":
        raise EnvelopeError(f"specversion {attributes['specversion']!r} is not supported: send 1.0")
    if not _RUN(run):
        raise EnvelopeError(f"run {run!r} is not a run id: 1 to 64 of A-Z a-z 0-9 _ -")
    parent = get("parentrun")
    if parent and not _RUN(parent):
        raise EnvelopeError(f"parentrun {parent!r} is not a run id: 1 to 64 of A-Z a-z 0-9 _ -")
    time = get("time")
    if time and not _TIME(time):
        raise EnvelopeError(f"time {time!r} is not an RFC 3339 time: write 2026-11-02T09:30:00Z")
    hops = get("hops")
    if hops and not _HOPS(hops):
        raise EnvelopeError(f"hops {hops!r} is not a small whole number: leave it out, or count from 0")


def _encodable(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise EnvelopeError(f"the attribute {name!r} holds half a surrogate pair: send valid Unicode") from None


def is_traceparent(text: str) -> bool:
    """Whether a text has the form of the W3C trace context's `traceparent`."""
    return _TRACEPARENT(text) is not None


def percent_encoded(value: str) -> str:
    """Return a text as a header value: space, quote, percent and all outside U+0021 to 007E percent-encoded."""
    return value if _PLAIN(value) else quote(value, safe=_SAFE)
