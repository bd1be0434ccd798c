"""The AsyncAPI document is whole: every worker, every channel, nothing that points nowhere."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.catalogue import CATALOGUE
from workers.bus.declaration.asyncapi import document
from workers.bus.rooms import all_wirings


@pytest.fixture(scope="module")
def api() -> dict[str, Any]:
    """Return the document of all workers."""
    return document()


def references(part: Any) -> Iterator[str]:
    """Yield every reference inside."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_every_reference_leads_somewhere(api: dict[str, Any]) -> None:
    """Whoever generates code from it finds all parts."""
    for reference in references(api):
        found = api
        for token in reference.removeprefix("#/").split("/"):
            assert token in found, reference
            found = found[token]


def test_components_have_legal_names(api: dict[str, Any]) -> None:
    """The specification allows letters, digits, dot, dash and underscore; parsers refuse the rest."""
    for kind, components in api["components"].items():
        assert [name for name in components if not re.fullmatch(r"[a-zA-Z0-9._-]+", name)] == [], kind


def test_operations_name_messages_of_their_channel(api: dict[str, Any]) -> None:
    """A reference from an operation leads through its channel, and each channel is on the server that there is."""
    for operation in api["operations"].values():
        channel = operation["channel"]["$ref"]
        assert operation["messages"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])
    assert {server["$ref"] for channel in api["channels"].values() for server in channel["servers"]} == {
        "#/servers/bus"
    }


def test_every_worker_has_its_channels(api: dict[str, Any]) -> None:
    """What it consumes and emits, its retries, schedules, dead letters and progress, each with its stream."""
    assert api["asyncapi"] == "3.0.0"
    for name, wiring in all_wirings().items():
        for event_type in wiring.pulled_types:
            channel = api["channels"][f"{name}.{event_type}"]
            assert (channel["address"], channel["x-jetstream"]["durable"]) == (event_type, name)
            assert api["operations"][f"{name}.{event_type}"]["action"] == "receive"
        for event_type in wiring.emitted_types:
            assert api["channels"][f"{name}.emits.{event_type}"]["x-jetstream"] == {"stream": "EVENTS"}
        assert api["channels"][f"{name}.progress"]["address"] == f"progress.{name}.{{run}}"
        if wiring.consumes:
            assert api["channels"][f"{name}.retry"]["x-jetstream"]["stream"] == f"RETRY_{name}"
            assert api["channels"][f"{name}.dead"]["x-jetstream"] == {"stream": "DEAD"}


def test_every_message_has_headers_and_a_valid_example(api: dict[str, Any]) -> None:
    """The headers are those of a CloudEvent, and the example is accepted by its own model."""
    for message in api["components"]["messages"].values():
        [example] = message["examples"]
        CATALOGUE[example["name"]].model_validate_json(json.dumps(example["payload"]))
        assert message["headers"] == {"$ref": "#/components/schemas/CloudEventHeaders"}
    assert api["components"]["schemas"]["CloudEventHeaders"]["required"] == ["ce-id", "ce-source", "ce-type"]
