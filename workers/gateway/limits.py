"""How much one principal may bring, and what a token may be used for: kept in this process.

Rates are the generic cell rate algorithm (ITU-T I.371): a principal is remembered as the time at which all that it
brought is paid for.
"""

import time
from collections.abc import Callable

from workers.gateway.principals import Principal

_MOST_TOKENS = 100_000


class Rates:
    """One rate for each principal, in this process: replicas of the door add up. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paid_at: dict[str, float] = {}

    def take(self, principal: Principal, count: int = 1) -> float:
        """Take `count` events out of the rate and return 0, or take nothing and return the seconds to wait.

        More than the burst at once is admitted after a pause, and paid for afterwards.
        """
        now, each = self._clock(), 60.0 / principal.rate
        paid_at = max(now, self._paid_at.get(principal.name, now))
        wait = paid_at + (min(count, principal.burst) - principal.burst) * each - now
        if wait > 0:
            return wait
        self._paid_at[principal.name] = paid_at + count * each
        return 0.0


class BoundTokens:
    """What each token was used for first: a retry of that is fine, anything else is a replay. In this process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._used: dict[str, tuple[str, float]] = {}

    def bind(self, token: str, use: str, expires_at: float) -> bool:
        """Bind a token, named by issuer and `jti`, to a use; return whether it may be used so."""
        known = self._used.get(token)
        if known is not None:
            return known[0] == use
        if len(self._used) >= _MOST_TOKENS:
            now = self._clock()
            self._used = {name: used for name, used in self._used.items() if used[1] > now}
        self._used[token] = (use, expires_at)
        return True
