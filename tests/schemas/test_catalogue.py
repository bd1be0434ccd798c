"""Every event is strict, described, and shown by an example that it accepts."""

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.catalogue import CATALOGUE, EVENTS, example_of
from schemas.events import Event

ALL = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event_type)


def _fields(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    models = {"": schema} | schema.get("$defs", {})
    return {f"{model}.{name}": field for model, part in models.items() for name, field in part["properties"].items()}


@ALL
def test_every_field_has_a_description_and_an_example(event: type[Event]) -> None:
    """Nobody has to guess what a field means or looks like, in nested objects neither."""
    lacking = [
        name
        for name, field in _fields(event.model_json_schema()).items()
        if not (field.get("description") and field.get("examples"))
    ]

    assert lacking == []


@ALL
def test_the_example_is_a_valid_event(event: type[Event]) -> None:
    """The example made of the fields' examples is accepted, and comes back from JSON unchanged."""
    found = event.model_validate_json(json.dumps(example_of(event)))

    assert event.model_validate_json(found.model_dump_json()) == found
    assert found.about()
    assert found.natural_key()


@ALL
def test_unknown_fields_are_refused(event: type[Event]) -> None:
    """A misspelt field is an error, not silence."""
    with pytest.raises(ValidationError, match="misspelt"):
        event.model_validate_json(json.dumps(example_of(event) | {"misspelt": 1}))


@ALL
def test_types_are_not_coerced(event: type[Event]) -> None:
    """A number where a string belongs is an error."""
    name = next(name for name, field in event.model_fields.items() if field.annotation is str)

    with pytest.raises(ValidationError, match="valid string"):
        event.model_validate_json(json.dumps(example_of(event) | {name: 1}))


@ALL
def test_events_are_frozen(event: type[Event]) -> None:
    """A fact does not change once it is said."""
    found = event.model_validate_json(json.dumps(example_of(event)))

    with pytest.raises(ValidationError, match="frozen"):
        setattr(found, next(iter(event.model_fields)), "other")


def test_types_are_unique_and_fit_a_subject() -> None:
    """Each type belongs to one model, and is a NATS subject of a noun and what happened to it."""
    assert len(CATALOGUE) == len(EVENTS)
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+(?:_[a-z]+)*", kind) for kind in CATALOGUE)
