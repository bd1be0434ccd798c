"""The exported JSON Schema says what the models do, as a validator of its own sees it."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.catalogue import EVENTS, example_of
from schemas.events import Event
from workers.commands.schema import json_schemas

ALL = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event_type)


def _validator(event: type[Event]) -> Draft202012Validator:
    document = json_schemas()
    schema: dict[str, Any] = document["events"][event.event_type] | {"$defs": document["$defs"]}
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@ALL
def test_the_example_fits_the_exported_schema(event: type[Event]) -> None:
    """Whoever generates a client from it can send what we show."""
    _validator(event).validate(example_of(event))


@ALL
def test_the_exported_schema_refuses_unknown_fields_as_we_do(event: type[Event]) -> None:
    """A typo is found before the event is sent."""
    assert not _validator(event).is_valid(example_of(event) | {"no_such_field": 1})
