"""The catalogue as a page: every event with its fields, an example, and who emits and consumes it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.catalogue import CATALOGUE, EVENTS, example_of
from schemas.envelope import Envelope
from schemas.events import Event

_CONSTRAINTS = {
    "pattern": "matches `{}`",
    "minLength": "at least {} character(s)",
    "maxLength": "at most {} characters",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} entries",
    "format": "{}",
}
_READABLE = 60
"""Characters of a pattern that a person still reads."""
_INTRODUCTION = """\
<!-- Generated: change the models, then run `sealane schema export --format markdown -o schemas/CATALOGUE.md`. -->
# The event catalogue

What may travel on the bus. Events are CloudEvents 1.0 on NATS in binary mode: attributes in `ce-…` headers
(percent-encoded), the JSON object below as the body; the structured mode (`application/cloudevents+json`) is accepted
too. The subject on NATS is the type. Unknown fields are refused and types are not coerced.

## Attributes of every event

| attribute | meaning | example |
|---|---|---|
| `id` | what tells the event apart from all others of its source; required | `{id}` |
| `source` | who says it; required | `{source}` |
| `type` | the type, and the subject on NATS; required | `{type}` |
| `subject` | what the event is about, as people search for it | `{subject}` |
| `time` | when it was said, RFC 3339 | `{time}` |
| `specversion` | the version of CloudEvents | `1.0` |
| `run` | extension: the run that the event belongs to; derived from source and id when it is not given | `{run}` |
| `cause` | extension: `Nats-Msg-Id` of the event that led to this one | `{cause}` |
| `parentrun` | extension: the run which opened this one | `{parentrun}` |
| `hops` | extension: how many causes came before; a limit ends loops | `{hops}` |
| `actor` | extension: the authenticated principal who began it, stamped at the door | `{actor}` |
| `traceparent`, `tracestate` | W3C trace context, in headers of that name; broken ones are dropped | `{traceparent}` |
"""
_ATTRIBUTES = Envelope(
    id="4be1c0f-1",
    source="https://ci.example.com/acme/shop",
    type="image.pushed",
    subject="europe-docker.pkg.dev/acme/apps/shop:1.4.2",
    run="qLs4fX0bq2wQwKqGm1JYtPZk",
    time="2026-11-02T09:30:00.000Z",
    cause="Wm2u1GJ9kq0c5nZr7YbVtA3d",
    parentrun="B7xk0sT2mHqLwE9dYc4uVf1a",
    hops=1,
    actor="ci@acme.example",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of an event or of an object inside it."""

    name: str
    type: str
    constraint: str
    description: str
    example: str


@dataclass(frozen=True, slots=True)
class Travel:
    """Which workers emit and consume a type of event."""

    emitted_by: tuple[str, ...]
    consumed_by: tuple[str, ...]


def travels() -> dict[str, Travel]:
    """Return for every type who emits and consumes it, from the workers' signatures."""
    from workers.bus.rooms import all_wirings

    wirings = all_wirings()
    return {
        event.event_type: Travel(
            tuple(name for name, wired in wirings.items() if event in wired.emits),
            tuple(name for name, wired in wirings.items() if event in wired.consumes),
        )
        for event in EVENTS
    }


def meaning(event: type[Event]) -> str:
    """Return an event's docstring as one line."""
    return " ".join((event.__doc__ or "").split())


def field_rows(event: type[Event]) -> list[FieldRow]:
    """Return a row for each field, those of nested objects below the field that holds them."""
    schema = event.model_json_schema()
    return list(_rows(schema, schema.get("$defs", {}), ""))


def markdown(travelled: Mapping[str, Travel]) -> str:
    """Return the whole page."""
    attributes = {name: getattr(_ATTRIBUTES, name) for name in Envelope.__slots__}
    parts = [_INTRODUCTION.format(**attributes), "## Events\n", _overview(travelled)]
    parts += [_section(event, travelled[event.event_type]) for event in EVENTS]
    return "\n".join(parts)


def _rows(schema: Mapping[str, Any], definitions: Mapping[str, Any], prefix: str) -> Iterator[FieldRow]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        constraints = [] if name in required else [_optional(field)]
        example = json.dumps(field["examples"][0], ensure_ascii=False) if field.get("examples") else ""
        constraints += _constraints(field)
        yield FieldRow(
            prefix + name, _type(field), "; ".join(constraints), " ".join(field.get("description", "").split()), example
        )
        for reference, mark in ((field.get("$ref"), "."), (field.get("items", {}).get("$ref"), "[].")):
            if reference:
                yield from _rows(definitions[reference.rpartition("/")[2]], definitions, f"{prefix}{name}{mark}")


def _optional(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    return "optional" if default in (None, [], {}) else f"default `{json.dumps(default)}`"


def _type(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"])
    kind = str(field.get("type", "any"))
    if kind == "array":
        return f"array of {_type(field.get('items', {}))}"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"object of {_type(field['additionalProperties'])}"
    return kind


def _constraints(field: Mapping[str, Any]) -> list[str]:
    if "anyOf" in field:
        return [text for option in field["anyOf"] for text in _constraints(option)]
    found = [text.format(field[name]) for name, text in _CONSTRAINTS.items() if name in field]
    if len(field.get("pattern", "")) > _READABLE:
        found[0] = "matches its pattern (see the JSON Schema)"
    if "const" in field:
        found.append(f"always `{json.dumps(field['const'])}`")
    if "enum" in field:
        found.append("one of " + ", ".join(f"`{json.dumps(value)}`" for value in field["enum"]))
    return found


def _overview(travelled: Mapping[str, Travel]) -> str:
    rows = [
        (f"[`{kind}`](#{kind.replace('.', '')})", meaning(event), *_who(travelled[kind]))
        for kind, event in CATALOGUE.items()
    ]
    return _table(("type", "meaning", "emitted by", "consumed by"), rows)


def _section(event: type[Event], travel: Travel) -> str:
    emitted, consumed = _who(travel)
    rows = [
        (f"`{row.name}`", row.type, row.constraint, row.description, f"`{row.example}`") for row in field_rows(event)
    ]
    example = json.dumps(example_of(event), indent=2, ensure_ascii=False)
    return (
        f"## {event.event_type}\n\n{meaning(event)}\n\nEmitted by: {emitted}. Consumed by: {consumed}. "
        f"Subject: `{event.subject_field}`. Told apart by: "
        f"{', '.join(f'`{name}`' for name in event.natural_key_fields)}.\n\n"
        f"{_table(('field', 'type', 'constraint', 'meaning', 'example'), rows)}\n```json\n{example}\n```\n"
    )


def _who(travel: Travel) -> tuple[str, str]:
    emitted = ", ".join(f"`{name}`" for name in travel.emitted_by) or "the outside (`sealane publish`, the door)"
    return emitted, ", ".join(f"`{name}`" for name in travel.consumed_by) or "nobody yet"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
