"""HTTP statuses as our failures: the one table for every adapter that speaks plain HTTP."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType

from workers.failures import Denied, Invalid, NotFound, QuotaExhausted, SealaneError, Unavailable

FAILURES: Mapping[int, type[SealaneError]] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: Denied,
        HTTPStatus.FORBIDDEN: Denied,
        HTTPStatus.NOT_FOUND: NotFound,
        HTTPStatus.GONE: NotFound,
        HTTPStatus.REQUEST_TIMEOUT: Unavailable,
        HTTPStatus.CONFLICT: Unavailable,
        HTTPStatus.TOO_EARLY: Unavailable,
        HTTPStatus.TOO_MANY_REQUESTS: QuotaExhausted,
    }
)
"""Status → what it is to us. Any other 4xx is Invalid, all else Unavailable."""

LONGEST_WAIT = timedelta(hours=1)
"""No server makes us wait longer than this by a Retry-After."""
_SERVER_ERROR = 500
_CLIENT_ERROR = 400


def failure(status: int, sentence: str, *, retry_after: str | None = None) -> SealaneError:
    """Return the failure that an unexpected status is. `retry_after` is the header of that name, as it came."""
    other = Invalid if _CLIENT_ERROR <= status < _SERVER_ERROR else Unavailable
    kind = FAILURES.get(status, other)
    after = wait(retry_after)
    if kind is QuotaExhausted:
        return QuotaExhausted(sentence, after=after) if after else QuotaExhausted(sentence)
    if kind is Unavailable:
        return Unavailable(sentence, after=after)
    return kind(sentence)


def wait(retry_after: str | None, *, now: datetime | None = None) -> timedelta | None:
    """Read a Retry-After header (RFC 9110 section 10.2.3): seconds or a date. None if it says nothing usable."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdecimal():
        return min(timedelta(seconds=min(int(text[:10]), LONGEST_WAIT.total_seconds())), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max(at - (now or datetime.now(UTC)), timedelta(0)), LONGEST_WAIT)
