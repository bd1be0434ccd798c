"""Primary rate limits: so many requests an hour, counted for each caller.

Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api. Left out: the higher limits of
installations with many repositories. Secondary limits are injected, see `faults`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from workers.local.github.credentials import Caller

HOUR = 3600
ANONYMOUS = 60
"""Requests an hour from one address without a token."""


@dataclass(slots=True)
class Window:
    """The hour that runs for one caller."""

    limit: int
    reset: int
    """Unix seconds."""
    used: int = 0

    def headers(self) -> dict[str, str]:
        """Return what every answer says about it."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(self.limit - self.used, 0)),
            "X-RateLimit-Reset": str(self.reset),
            "X-RateLimit-Used": str(self.used),
            "X-RateLimit-Resource": "core",
        }


class Rates:
    """All windows. `limit`: requests an hour of a caller who is known. `clock`: Unix seconds."""

    def __init__(self, clock: Callable[[], float], limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._windows: dict[str, Window] = {}

    def window(self, caller: Caller) -> Window:
        """Return the window that runs for a caller."""
        now, name = int(self._clock()), describe(caller)
        found = self._windows.get(name)
        if found is None or found.reset <= now:
            found = Window(self._limit if caller.known else ANONYMOUS, now + HOUR)
            self._windows[name] = found
        return found


def describe(caller: Caller) -> str:
    """Return who it is, as GitHub says it when the limit is reached."""
    if caller.installation is not None:
        return f"installation ID {caller.installation.id}"
    if caller.app is not None:
        return f"app ID {caller.app.id}"
    return "127.0.0.1" if caller.user is None else f"user ID {caller.user.id}"
