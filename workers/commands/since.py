"""What people write after `--since`: one grammar for all commands."""

import re
from datetime import UTC, datetime, timedelta

from workers.failures import Invalid

_AGO = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def when(text: str, now: datetime | None = None) -> datetime:
    """Return the time that somebody means: a date, a time, or how long ago. Raises Invalid.

    It is of this machine's zone unless it says another; what is returned is in UTC.
    """
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return (now or datetime.now(UTC)) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(
            f"{text!r} is no time: write 2026-01-31, 2026-01-31T12:00, or how long ago as in 12h, 7d"
        ) from None
