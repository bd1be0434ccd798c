"""proto3 JSON over HTTP: from path, query and body to a request message, and from a message to JSON.

Follows google/api/http.proto and https://protobuf.dev/programming-guides/json/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor

from workers.local.google.status import invalid_argument
from workers.local.google.table import Method, Rule

# https://cloud.google.com/apis/docs/system-parameters
_SYSTEM = frozenset(
    [
        "access_token",
        "alt",
        "callback",
        "fields",
        "key",
        "oauth_token",
        "prettyPrint",
        "quotaUser",
        "uploadType",
        "upload_protocol",
    ]
)
_CAPITAL = re.compile("[A-Z]")
_INTEGERS = (
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
)


def to_message(
    method: Method, rule: Rule, variables: Mapping[str, str], query: Iterable[tuple[str, str]], body: bytes
) -> Any:
    """Return the request message of *method*. Raises INVALID_ARGUMENT for what does not fit it."""
    message = method.request()
    if rule.body and body.strip():
        _fill(message, rule.body, body)
    for key, value in query:
        if not key.startswith("$") and key not in _SYSTEM:
            _set(message, key, value)
    for path, value in variables.items():
        _set(message, path, value, replace=True)
    return message


def to_json(message: Any, *, pretty: bool = True) -> str:
    """Return the message as proto3 JSON: camelCase, enums by name, bytes in base64."""
    return json_format.MessageToJson(message, indent=2 if pretty else None, ensure_ascii=False)


def check_representable(message: Any, field: str) -> None:
    """Raise INVALID_ARGUMENT for a message with no JSON form, such as a time out of bounds that came over gRPC."""
    try:
        json_format.MessageToDict(message)
    except (json_format.Error, ValueError) as error:
        raise invalid_argument(f"{field} is not valid: {error}", field) from error


def _fill(message: Any, field: str, body: bytes) -> None:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise invalid_argument("Invalid JSON payload received: the body is not JSON.") from None
    if not isinstance(content, dict):
        raise invalid_argument("Invalid JSON payload received: the body is not an object.")
    target = message if field == "*" else getattr(message, field)
    if field != "*":
        target.SetInParent()
    try:
        json_format.ParseDict(content, target)
    except (json_format.ParseError, AttributeError, TypeError, ValueError) as error:
        raise invalid_argument(f"Invalid JSON payload received: {error}") from error


def _set(message: Any, path: str, text: str, *, replace: bool = False) -> None:
    """Set the field at the dotted *path* (camelCase or snake_case) from a URL's text."""
    *parents, last = path.split(".")
    target = message
    for part in parents:
        field = _field(target, part, path)
        if field.message_type is None or field.is_repeated:
            raise invalid_argument(f"Invalid parameter {path!r}: {part!r} has no fields.")
        target = getattr(target, field.name)
    field = _field(target, last, path)
    if field.message_type is not None:
        _set_well_known(target, field, text)
        return
    value = _scalar(field, text)
    if field.is_repeated:
        getattr(target, field.name).append(value)
    elif replace or not getattr(target, field.name):
        setattr(target, field.name, value)


def _field(message: Any, part: str, path: str) -> Any:
    snake = _CAPITAL.sub(lambda found: "_" + found.group().lower(), part)
    field = message.DESCRIPTOR.fields_by_name.get(snake)
    if field is None:
        raise invalid_argument(f"Invalid parameter {path!r}: {message.DESCRIPTOR.full_name} has no field {part!r}.")
    return field


def _set_well_known(message: Any, field: Any, text: str) -> None:
    target = getattr(message, field.name)
    try:
        if field.message_type.full_name == "google.protobuf.FieldMask":
            parts = (part.strip() for part in text.split(","))
            target.paths.extend(_CAPITAL.sub(lambda f: "_" + f.group().lower(), part) for part in parts if part)
        else:
            json_format.Parse(json.dumps(text), target)
    except (json_format.ParseError, ValueError) as error:
        raise invalid_argument(f"Invalid value at {field.name!r}: {text!r}.", field.name) from error


def _scalar(field: Any, text: str) -> Any:
    """Return the value of a scalar query parameter."""
    try:
        if field.cpp_type in _INTEGERS:
            return int(text)
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return {"true": True, "false": False}[text.lower()]
        if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
            return int(text) if text.isdecimal() else field.enum_type.values_by_name[text].number
        if field.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return float(text)
    except (KeyError, ValueError):
        raise invalid_argument(f"Invalid value at {field.name!r}: {text!r}.", field.name) from None
    if field.type == FieldDescriptor.TYPE_BYTES:
        raise invalid_argument(f"The field {field.name!r} cannot be given in the query.", field.name)
    return text
