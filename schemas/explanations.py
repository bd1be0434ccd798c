"""Says in words what is wrong with an event: the field, what is expected, an example. Values are left out."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError

from schemas.events import Event

_MOST = 5
"""Findings that one sentence holds."""


def explain(event: type[Event], error: ValidationError) -> str:
    """Return one sentence for what pydantic found wrong with an event of this class."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    properties = _properties(event)
    parts = [_finding(item["type"], item["loc"], item["msg"], properties) for item in found[:_MOST]]
    more = f" (and {len(found) - _MOST} more)" if len(found) > _MOST else ""
    return f"this is no {event.event_type}: {'; '.join(parts)}{more}"


def findings(error: ValidationError) -> str:
    """Return pydantic's own findings, a line each, without the values: those may be anything."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "\n".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']} [{item['type']}]" for item in found)


@cache
def _properties(event: type[Event]) -> Mapping[str, Any]:
    """Return what the JSON Schema says of the fields; made once, since poison may come in numbers."""
    found: Mapping[str, Any] = event.model_json_schema()["properties"]
    return found


def _finding(kind: str, loc: tuple[int | str, ...], text: str, properties: Mapping[str, Any]) -> str:
    path = ".".join(map(str, loc))
    if not loc:
        return "the body is not JSON" if kind == "json_invalid" else f"the body: {_uncapitalised(text)}"
    if kind == "extra_forbidden":
        known = f", the fields are {', '.join(properties)}" if len(loc) == 1 else ""
        return f"there is no field {path!r}{known}"
    if kind == "missing":
        return f"the field {path!r} is missing{_expected(loc, properties)}"
    if kind == "string_pattern_mismatch":
        return f"the field {path!r} does not have the right form{_expected(loc, properties)}"
    return f"the field {path!r} is wrong: {_uncapitalised(text)}{_expected(loc, properties)}"


def _expected(loc: tuple[int | str, ...], properties: Mapping[str, Any]) -> str:
    field = properties.get(str(loc[0])) or {}
    if not field.get("examples"):
        return ""
    return f", expected: {_uncapitalised(field.get('description', ''))} For example {field['examples'][0]!r}"


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
