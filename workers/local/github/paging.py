"""Pages of a list, as GitHub cuts them: `per_page` and `page`, and a Link header that names the next one.

Source: https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from workers.local.github.errors import GithubError

MOST = 100


def per_page(request: web.Request, default: int = 30) -> int:
    """Return how many a page holds; GitHub takes no more than a hundred."""
    return min(max(_number(request, "per_page", default), 1), MOST)


def page(request: web.Request) -> int:
    """Return which page is asked for, from 1."""
    return max(_number(request, "page", 1), 1)


def cut(request: web.Request, rows: Sequence[Any], size: int) -> tuple[Sequence[Any], dict[str, str]]:
    """Return one page of rows and the headers that lead to the next one."""
    number = page(request)
    start = (number - 1) * size
    last = max((len(rows) + size - 1) // size, 1)
    pages = {"prev": number - 1 if number > 1 else None, "next": number + 1 if number < last else None}
    links = {name: {"page": str(value)} for name, value in pages.items() if value is not None}
    return rows[start : start + size], link(request, links)


def link(request: web.Request, pages: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return a Link header with the given pages: relation → what changes in the query."""
    entries = [f'<{request.url.update_query(dict(query))}>; rel="{name}"' for name, query in pages.items()]
    return {"Link": ", ".join(entries)} if entries else {}


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdigit():
        raise GithubError(422, f"Invalid request: {name} is not a number")
    return int(text)
