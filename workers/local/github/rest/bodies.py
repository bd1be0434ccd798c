"""What clients send: numbers in addresses, and bodies of JSON."""

import json
from typing import Any, TypeVar

from aiohttp import web

from workers.local.github.errors import GithubError, not_found

T = TypeVar("T")
_LONGEST_NUMBER = 18


def number(text: str) -> int:
    """Return a number in an address. Raises 404."""
    if not (text.isascii() and text.isdigit()) or len(text) > _LONGEST_NUMBER:
        raise not_found()
    return int(text)


async def json_object(request: web.Request) -> dict[str, Any]:
    """Return the body, an object; none at all is an empty one. Raises 400."""
    raw = await request.read()
    try:
        body = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as error:
        raise GithubError(400, "Problems parsing JSON") from error
    if not isinstance(body, dict):
        raise GithubError(400, "Body should be a JSON object")
    return body


def body_of(value: object, kind: type[T]) -> list[T]:
    """Return a list of one kind out of a body; None is an empty one. Raises 422."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(type(item) is kind for item in value):
        raise GithubError(422, f"Invalid request.\n\nA list of {kind.__name__} was expected.")
    return value
