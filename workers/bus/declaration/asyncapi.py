"""The AsyncAPI 3.0 document: FastStream's, completed with all that FastStream does not know of this bus.

Source: AsyncAPI 3.0.0. Added are the CloudEvents headers, examples, streams and durables (`x-jetstream`, since the
NATS binding has no words for them), and every worker's channels for retries, schedules, dead letters and progress.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from faststream.specification import AsyncAPI
from pydantic import BaseModel

from schemas.catalogue import CATALOGUE, example_of
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.progress import ProgressMessage
from workers.bus.declaration.declared import declare
from workers.bus.rooms import all_wirings
from workers.bus.topology.streams import CRON, DEAD, EVENTS, PROGRESS, retry_stream
from workers.bus.transport import headers as names
from workers.bus.wiring import Wiring

_TITLE = "sealane"
_REQUIRED = ("ce-id", "ce-source", "ce-type")
_DEAD = ("DEAD_WORKER", "DEAD_REASON", "DEAD_ERROR", "DEAD_MESSAGE", "DEAD_STACK", "DEAD_AT", "DEAD_BLOCK")
_DESCRIPTION = (
    "Small workers on NATS JetStream. Events are CloudEvents 1.0 in binary mode (attributes in percent-encoded ce- "
    "headers, JSON body); the structured mode is accepted. Delivery is at least once, ids make repeats harmless."
)


def document(wirings: Mapping[str, Wiring] | None = None) -> dict[str, Any]:
    """Return the document as JSON, for all workers unless some are given."""
    wirings = all_wirings() if wirings is None else wirings
    specification = AsyncAPI(
        declare(wirings).broker,
        title=_TITLE,
        version=version("sealane"),
        description=_DESCRIPTION,
        schema_version="3.0.0",
    )
    found = _with_legal_names(specification.to_specification().to_json())
    _name_server(found)
    schemas = found["components"].setdefault("schemas", {})
    schemas |= {"CloudEventHeaders": _event_headers(), "DeadLetterHeaders": _dead_headers()}
    schemas |= _schemas_of(ProgressMessage)
    for message in found["components"].setdefault("messages", {}).values():
        _complete_message(message)
    for wiring in wirings.values():
        if wiring.fed is not None:
            schemas |= _schemas_of(wiring.fed)
        _complete_channels(found, wiring)
        _add_channels(found, wiring)
    return found


def _with_legal_names(text: str) -> dict[str, Any]:
    """Read FastStream's document, its messages named without the colon, which no component's name may have."""
    for name in json.loads(text)["components"].get("messages", {}):
        text = text.replace(json.dumps(name)[1:-1], name.replace(":", "."))
    found: dict[str, Any] = json.loads(text)
    return found


def _name_server(found: dict[str, Any]) -> None:
    found["servers"] = {
        "bus": {
            "host": "localhost:4222",
            "protocol": "nats",
            "description": "NATS with JetStream, 2.14 or later; every identity has an nkey (SEALANE_NATS).",
        }
    }
    for channel in found["channels"].values():
        channel["servers"] = [{"$ref": "#/servers/bus"}]


def _complete_message(message: dict[str, Any]) -> None:
    """Give a message its headers, content type and example; `correlation_id` is FastStream's, not ours."""
    message.pop("correlationId", None)
    message["contentType"] = "application/json"
    message["headers"] = {"$ref": "#/components/schemas/CloudEventHeaders"}
    model = message["payload"]["$ref"].rpartition("/")[2]
    event = next(event for event in CATALOGUE.values() if event.__name__ == model)
    message["examples"] = [{"name": event.event_type, "payload": example_of(event)}]


def _complete_channels(found: dict[str, Any], wiring: Wiring) -> None:
    card = wiring.card
    consumer = {
        "stream": EVENTS,
        "durable": wiring.name,
        "ackWait": f"{card.ack_wait.total_seconds():g}s",
        "attempts": card.attempts,
        "concurrency": card.concurrency,
    }
    for event_type in wiring.pulled_types:
        found["channels"][f"{wiring.name}.{event_type}"]["x-jetstream"] = consumer
    for event_type in wiring.emitted_types:
        found["channels"][f"{wiring.name}.emits.{event_type}"]["x-jetstream"] = {"stream": EVENTS}


def _add_channels(found: dict[str, Any], wiring: Wiring) -> None:
    name = wiring.name
    consumed = [found["components"]["messages"][f"{name}.{kind}.SubscribeMessage"] for kind in wiring.pulled_types]
    consumed += [_fed_message(wiring.fed)] if wiring.fed is not None else []
    retries = {"stream": retry_stream(name), "durable": name}
    dead = [message | {"headers": {"$ref": "#/components/schemas/DeadLetterHeaders"}} for message in consumed]
    said = {
        "title": "ProgressMessage",
        "contentType": "application/json",
        "payload": {"$ref": "#/components/schemas/ProgressMessage"},
    }
    if consumed:
        kind = {"type": f"Type of the event: {', '.join(wiring.consumed_types)}."}
        _channel(found, f"{name}.retry", f"retry.{name}.{{type}}", "receive", consumed, kind, retries)
        key = {"key": "Derived from the delivery that failed, so that a repeat stores it once."}
        _channel(found, f"{name}.schedule", f"schedule.{name}.{{key}}", "send", consumed, key, retries)
        _channel(found, f"{name}.dead", f"dead.{name}.{{type}}", "send", dead, kind, {"stream": DEAD})
    run = {"run": "The run, 1 to 64 of A-Z a-z 0-9 _ -"}
    _channel(found, f"{name}.progress", f"progress.{name}.{{run}}", "send", [said], run, {"stream": PROGRESS})
    if wiring.card.tick:
        fired = {"stream": CRON, "durable": name, "schedule": wiring.card.tick}
        _channel(found, f"{name}.tick", f"tick.{name}", "receive", [{"title": "Tick"}], {}, fired)


def _channel(
    found: dict[str, Any],
    channel: str,
    address: str,
    action: str,
    messages: list[dict[str, Any]],
    parameters: Mapping[str, str],
    jetstream: Mapping[str, Any],
) -> None:
    """Add a channel and the operation on it."""
    titles = [message["title"].partition(":")[0].replace(".", "_") for message in messages]
    found["channels"][channel] = {
        "address": address,
        "servers": [{"$ref": "#/servers/bus"}],
        "messages": dict(zip(titles, messages, strict=True)),
        "x-jetstream": dict(jetstream),
    } | ({"parameters": {name: {"description": text} for name, text in parameters.items()}} if parameters else {})
    place = f"#/channels/{channel}"
    found["operations"][channel] = {
        "action": action,
        "channel": {"$ref": place},
        "messages": [{"$ref": f"{place}/messages/{title}"} for title in titles],
    }


def _event_headers() -> dict[str, Any]:
    """Describe the headers of the binary mode; names and order are the envelope's own."""
    full = Envelope(
        id="4be1c0f-1",
        source="https://ci.example.com/acme/shop",
        type="image.pushed",
        run="qLs4fX0bq2wQwKqGm1JYtPZk",
        time="2026-11-02T09:30:00.000Z",
        subject="europe-docker.pkg.dev/acme/apps/shop:1.4.2",
        cause="Wm2u1GJ9kq0c5nZr7YbVtA3d",
        parentrun="B7xk0sT2mHqLwE9dYc4uVf1a",
        hops=1,
        actor="ci@acme.example",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        tracestate="vendor=value",
    ).headers()
    return {
        "type": "object",
        "description": "CloudEvents attributes, percent-encoded. Names count in any case.",
        "required": list(_REQUIRED),
        "properties": {name: {"type": "string", "examples": [value]} for name, value in full.items()},
    }


def _dead_headers() -> dict[str, Any]:
    """Describe what a dead letter carries beside the event's own headers."""
    extra = {getattr(names, name): {"type": "string"} for name in _DEAD}
    return {
        "description": "The event's own headers, and why it was given up.",
        "allOf": [{"$ref": "#/components/schemas/CloudEventHeaders"}, {"type": "object", "properties": extra}],
    }


def _fed_message(event: type[Event]) -> dict[str, Any]:
    """Describe what comes from feeds, and is on the bus only when it was given up or is replayed."""
    return {
        "title": event.__name__,
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/CloudEventHeaders"},
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
    }


def _schemas_of(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}
