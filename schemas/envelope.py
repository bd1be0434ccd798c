"""The CloudEvents 1.0 envelope in its NATS binding: binary mode (headers) and structured mode (one JSON object).

Sources: CloudEvents 1.0.2 (core and JSON format), NATS protocol binding 1.0.3-wip (header values percent-encoded),
the Distributed Tracing extension (`traceparent`, `tracestate`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

from schemas.identity import ID_PATTERN, message_id, run_id

import re

STRUCTURED_CONTENT_TYPE = "application/cloudevents+json"
_SAFE = "!#$&'()*+,/:;=?@[]-._~`^|{}<>\\"
_PLAIN = re.compile(r"^[\x21\x23\x24\x26-\x7e]*$")
_RUN = re.compile(ID_PATTERN)
_EXTENSIONS = ("run", "cause", "parentrun", "actor", "traceparent", "tracestate")
_MAX_ATTRIBUTE = 2048
HOPS_LIMIT = 32
"""An event whose chain of causes is longer is part of a loop."""


class EnvelopeError(ValueError):
    """The CloudEvents attributes are missing or wrong; the sentence names the attribute and the remedy."""


@dataclass(frozen=True, slots=True)
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

    @property
    def message_id(self) -> str:
        """The `Nats-Msg-Id` under which this event is stored."""
        return message_id(self.type, self.source, self.id)

    def headers(self) -> dict[str, str]:
        """Return the NATS headers of the binary mode, percent-encoded."""
        headers = {
            "ce-specversion": "1.0",
            "ce-id": _encode(self.id),
            "ce-source": _encode(self.source),
            "ce-type": self.type,
            "ce-run": self.run,
            "ce-time": self.time or now(),
            "ce-hops": str(self.hops),
            "content-type": "application/json",
        }
        if self.subject is not None:
            headers["ce-subject"] = _encode(self.subject)
        for name in ("cause", "parentrun", "actor"):
            value = getattr(self, name)
            if value is not None:
                headers[f"ce-{name}"] = _encode(value)
        if self.traceparent is not None:
            headers["traceparent"] = self.traceparent
        if self.tracestate is not None:
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
        return {name: value for name, value in attributes.items() if value is not None} | {"data": json.loads(data)}


def now() -> str:
    """Return the current time as RFC 3339 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read(headers: Mapping[str, str], body: bytes) -> tuple[Envelope, bytes]:
    """Read the envelope of a NATS message in either mode, and return it with the event's JSON body."""
    content_type = _header(headers, "content-type") or ""
    if content_type.lower().startswith(STRUCTURED_CONTENT_TYPE):
        return from_structured(body)
    return from_headers(headers), body


def from_headers(headers: Mapping[str, str]) -> Envelope:
    """Read the envelope from binary-mode headers; names count in any case."""
    attributes: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower.startswith("ce-"):
            attributes[lower[3:]] = unquote(value) if "%" in value else value
        elif lower in {"traceparent", "tracestate"}:
            attributes.setdefault(lower, value)
    return _checked(attributes)


def from_structured(body: bytes) -> tuple[Envelope, bytes]:
    """Read envelope and body from one structured-mode JSON object."""
    try:
        record = json.loads(body)
    except ValueError as error:
        raise EnvelopeError(f"the structured CloudEvent is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise EnvelopeError("the structured CloudEvent is not a JSON object")
    if "data_base64" in record:
        raise EnvelopeError("data_base64 is not accepted: send the event's JSON object in `data`")
    data = record.pop("data", None)
    return _checked({name: str(value) for name, value in record.items()}), json.dumps(data).encode()


def _checked(attributes: Mapping[str, str]) -> Envelope:
    for name in ("id", "source", "type"):
        if not attributes.get(name):
            raise EnvelopeError(f"the CloudEvents attribute {name!r} is missing: every event needs id, source and type")
    if attributes.get("specversion", "1.0") != "1.0":
        raise EnvelopeError(f"specversion {attributes['specversion']!r} is not supported: send 1.0")
    for name in ("id", "source", "type", "subject", "actor", "cause", "parentrun"):
        if len(attributes.get(name) or "") > _MAX_ATTRIBUTE:
            raise EnvelopeError(f"the attribute {name!r} is longer than {_MAX_ATTRIBUTE} characters")
    run = attributes.get("run") or run_id(attributes["source"], attributes["id"])
    for name, value in (("run", run), ("parentrun", attributes.get("parentrun"))):
        if value is not None and not _RUN.match(value):
            raise EnvelopeError(f"{name} {value!r} is not a run id: 1 to 64 of A-Z a-z 0-9 _ -")
    hops = attributes.get("hops", "0")
    if not (hops.isascii() and hops.isdigit() and len(hops) <= 6):  # noqa: PLR2004 - far above any limit
        raise EnvelopeError(f"hops {hops!r} is not a small whole number")
    return Envelope(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        run=run,
        time=attributes.get("time"),
        subject=attributes.get("subject"),
        cause=attributes.get("cause"),
        parentrun=attributes.get("parentrun"),
        hops=int(hops),
        actor=attributes.get("actor"),
        traceparent=attributes.get("traceparent"),
        tracestate=attributes.get("tracestate"),
    )


def _header(headers: Mapping[str, str], wanted: str) -> str | None:
    value = headers.get(wanted)
    if value is not None:
        return value
    return next((value for name, value in headers.items() if name.lower() == wanted), None)


def _encode(value: str) -> str:
    return value if _PLAIN.match(value) else quote(value, safe=_SAFE)
