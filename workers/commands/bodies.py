"""Event bodies as people write them: a file of one JSON object or of JSON lines, or fields on the command line."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workers.bus.doors.entrance import event_class
from workers.failures import Invalid


def bodies_from_file(file: Path) -> list[tuple[str, str]]:
    """Return (where, JSON text) for each event in a file (`-`: stdin): one JSON object, or one object a line.

    Raises Invalid, naming the line.
    """
    name = "stdin" if str(file) == "-" else str(file)
    try:
        text = sys.stdin.buffer.read().decode() if name == "stdin" else file.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{name} is not UTF-8 text (byte {error.start}): write JSON in UTF-8") from None
    except OSError as error:
        raise Invalid(f"{name} cannot be read: {error.strerror}") from None
    if not text.strip():
        raise Invalid(f"{name} is empty: write one JSON object, or JSON lines for many events")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Extra data"):
            raise Invalid(f"line {error.lineno} of {name} is not JSON: {error.msg} (column {error.colno})") from None
    else:
        return [(name, text)]
    return [_line(name, number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def body_from_fields(event_type: str, assignments: Sequence[str]) -> str:
    """Return the JSON text made of `field=value` assignments, `field.key=value` for an entry of an object.

    A value is taken as it is where the field is a text, else read as JSON. Raises Invalid.
    """
    fields = event_class(event_type).model_json_schema()["properties"]
    body: dict[str, Any] = {}
    given: set[str] = set()
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        if not equals or not path:
            raise Invalid(f"--set {assignment!r} is not FIELD=VALUE: write, for instance, --set message=hello")
        if path in given:
            raise Invalid(f"--set {path} is given twice: which of the values is meant?")
        given.add(path)
        name, dot, key = path.partition(".")
        if dot and fields.get(name, {}).get("type") == "object":
            body.setdefault(name, {})[key] = value
        else:
            body[path] = _value(path, value, fields.get(name, {}))
    return json.dumps(body)


def _line(name: str, number: int, line: str) -> tuple[str, str]:
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        raise Invalid(f"line {number} of {name} is not JSON: {error.msg} (column {error.colno})") from None
    return f"line {number} of {name}", line


def _value(path: str, text: str, field: dict[str, Any]) -> Any:
    kinds = {field.get("type"), *(option.get("type") for option in field.get("anyOf", ()))}
    if "string" in kinds or not field:
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise Invalid(f"--set {path}={text}: this field takes JSON, for example {field['examples'][0]!r}") from None
