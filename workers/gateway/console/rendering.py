"""What a browser gets: pages from templates that escape everything, and headers that let nothing else run.

Sources: W3C Content Security Policy 3, Fetch Metadata, WHATWG HTML. What an event says is shown, never obeyed: HTML is
escaped by the templates, control and direction characters are spelled out here.
"""

import hashlib
import re
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from workers.gateway.console.sessions import Session
from workers.gateway.problems import Problem
from workers.terminal import safe

_HERE = Path(__file__).parent
_FILES = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
"""On every answer of the console."""
_DIGEST = re.compile(r"\b(sha256:[0-9a-f]{12})[0-9a-f]{52}\b")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def page(name: str, session: Session | None, *, status: HTTPStatus = HTTPStatus.OK, **known: Any) -> Response:
    """Return a page, for somebody who is signed in or for nobody."""
    template = _environment().get_template(name)
    text = template.render(session=session, asset=_asset, **known)
    return HTMLResponse(text, status.value, HEADERS)


def problem_page(problem: Problem, session: Session | None) -> Response:
    """Return a page that says what was wrong and what to do."""
    answer = page("problem.html", session, status=problem.status, title=problem.status.phrase, sentence=problem.detail)
    answer.headers.update(problem.headers)
    return answer


async def static(request: Request) -> Response:
    """Answer GET /console/static/{name}: the style, the script and the icon."""
    name = request.path_params["name"]
    if name not in _FILES:
        return problem_page(Problem(HTTPStatus.NOT_FOUND, "there is no such file"), None)
    content, version = _file(name)
    # Kept for good under its own hash alone: while replicas are replaced, an old one is asked for what a new one has.
    is_kept = request.query_params.get("v") == version
    fresh = {"cache-control": "public, max-age=31536000, immutable"} if is_kept else {}
    return Response(content, headers=HEADERS | fresh, media_type=_FILES[name])


@cache
def _file(name: str) -> tuple[bytes, str]:
    content = (_HERE / "static" / name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:12]


def _asset(name: str) -> str:
    return f"/console/static/{name}?v={_file(name)[1]}"


@cache
def _environment() -> Environment:
    made = Environment(
        auto_reload=False,
        autoescape=True,
        finalize=_shown,
        loader=FileSystemLoader(_HERE / "templates"),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters |= {"age": age, "iso": iso, "clock": _clock, "took": took, "count": _count}
    made.filters |= {"lasts": _lasts, "short": short, "head": _head, "tail": _tail}
    return made


def _shown(value: Any) -> Any:
    return safe(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def short(text: str) -> str:
    """Return a text in which digests are as long as one compares them by eye."""
    return _DIGEST.sub(r"\1…", text)


def _head(text: str) -> str:
    """Return what leads to the last part of a path: where there is no room, it is what one misses least."""
    return text.removesuffix(_tail(text))


def _tail(text: str) -> str:
    return text.rpartition("/")[2]


def age(at: datetime | float, now: datetime | None = None) -> str:
    """Return how long ago a time is, as short as it can be said."""
    seconds = ((now or datetime.now(UTC)) - _time(at)).total_seconds()
    return "now" if seconds < 1 else _long(seconds)


def took(seconds: float | None) -> str:
    """Return how long something took, with the digits that matter."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < _MINUTE else _long(seconds)


def _long(seconds: float) -> str:
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d}"
    return f"{whole // _DAY} days"


def _lasts(seconds: float) -> str:
    """Return for how long something is kept, in the largest unit that says it exactly enough."""
    return f"{round(seconds / _DAY, 1):g} days" if seconds >= 2 * _DAY else _long(seconds)


def iso(at: datetime | float) -> str:
    """Return a time for programs (RFC 3339)."""
    return _time(at).isoformat(timespec="milliseconds")


def _clock(at: datetime | float) -> str:
    """Return the time of day in UTC; the script says it in the reader's own zone."""
    return f"{_time(at):%H:%M:%S}"


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _time(at: datetime | float) -> datetime:
    return at.astimezone(UTC) if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
