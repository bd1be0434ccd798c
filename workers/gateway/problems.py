"""What the door answers when it does not do what was asked: problem details (RFC 9457), one sentence for people."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"
_SHOWN = 300
_AWAY_SECONDS = 5.0


class Problem(Exception):
    """An answer other than success. `members` are the RFC's extension members, `after` the seconds of Retry-After."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        after: float | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.members = members
        self.evidence: Mapping[str, str] = {}
        """What the log may say besides."""
        self.headers = dict(headers or {}) | ({} if after is None else {"retry-after": str(max(1, math.ceil(after)))})

    def as_json(self) -> dict[str, Any]:
        """Return the problem details object."""
        known = {"type": "about:blank", "title": self.status.phrase, "status": self.status.value, "detail": self.detail}
        return known | self.members

    def response(self) -> JSONResponse:
        """Return the answer."""
        headers = {"cache-control": "no-store"} | self.headers
        return JSONResponse(self.as_json(), self.status.value, headers, MEDIA_TYPE)


def unauthenticated(detail: str, *, claim: str | None = None) -> Problem:
    """Return the answer to somebody who did not prove who it is (RFC 6750, section 3)."""
    challenge = 'Bearer realm="sealane"'
    if claim is not None:
        challenge += ', error="invalid_token"'
    members: dict[str, Any] = {} if claim is None else {"claim": claim}
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers={"www-authenticate": challenge}, **members)


def forbidden(detail: str, **members: Any) -> Problem:
    """Return the answer to somebody who may not do this; the members say which claim, field or attribute it was."""
    return Problem(HTTPStatus.FORBIDDEN, detail, **members)


def away(detail: str, **members: Any) -> Problem:
    """Return the answer while what is needed for another one, the bus most of all, does not answer itself."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, after=_AWAY_SECONDS, **members)


def shown(value: object) -> str:
    """Return a value that somebody sent, short enough to be repeated."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


async def elsewhere(request: Request, error: Exception) -> Response:
    """Answer what no route is for: a path that is not there (404), a method that a path does not have (405)."""
    if not isinstance(error, HTTPException):
        raise error
    status, headers = HTTPStatus(error.status_code), dict(error.headers or {})
    # Its path is not repeated: somebody may have put a token into it.
    sentence = "nothing is at this path: GET /openapi.json tells what this door has"
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = headers.get("Allow", "another method")
        sentence = f"this path is not asked with {shown(request.method)}: send {allowed}"
    return Problem(status, sentence, headers=headers).response()
