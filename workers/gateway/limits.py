"""How much one principal may bring, and what a token may be used for: kept in the ledger, for all replicas together.

Rates are the generic cell rate algorithm (ITU-T I.371): a principal is a row which holds the time at which all that it
brought is paid for. A replica pays for a share in advance and hands it out without asking; what it did not use in
time goes back when it pays next. So replicas together never admit more than the rate, and most requests wait for
nobody.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from schemas.identity import digest_of
from workers.bus.claims.ledger import Ledger, Row
from workers.failures import Unavailable
from workers.gateway.principals import Principal
from workers.gateway.reading import MOST_EVENTS

SHARE_SECONDS = 2.0
"""How long a share may be used, and how many seconds of the rate it holds at most."""
_PART_OF_BURST = 10
"""A share is a tenth of the burst at most: what one replica holds, the others cannot hand out."""
_BELIEVED_SECONDS = 1.0
"""How long a replica that found the rate used up does not look again: others may have given back."""
_KEPT_SECONDS = 60.0
"""How long a row stays after all is paid for: then it says nothing that its absence would not."""
_NO_ROW = Row(None, 0)
_LONGEST_LEEWAY = 300.0
_LONGEST_TOKEN = timedelta(days=3650).total_seconds()


@dataclass(slots=True)
class _Share:
    """What this replica holds of one principal's rate. Times are seconds since 1970."""

    left: int = 0
    """Events that are paid for and were not brought yet."""
    paid_for_at: float = float("-inf")
    """When they were paid for."""
    size: int = 0
    """How many were paid for in advance."""
    row: Row = _NO_ROW
    looked_at: float = float("-inf")
    """When the row was last found to be used up."""
    failed_at: float = float("-inf")
    """When the bus did not answer the last time."""
    paying: asyncio.Lock = field(default_factory=asyncio.Lock)

    def use(self, count: int, now: float) -> bool:
        """Hand out `count` events, if they are here and fresh."""
        if self.left < count or now - self.paid_for_at > SHARE_SECONDS:
            return False
        self.left -= count
        return True


class Rates:
    """One rate for each principal. `clock` counts seconds since 1970: clocks that differ make a rate less exact."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._clock = clock
        self._shares: dict[str, _Share] = {}

    async def take(self, principal: Principal, count: int = 1, *, before: int = 0) -> float:
        """Take `count` events out of the rate and return 0, or take nothing and return the seconds to wait.

        More than the burst at once is admitted after a pause, and paid for afterwards; `before` of it were taken just
        now, which is no lack of a pause. Raises Unavailable.
        """
        share = self._shares.get(principal.name)
        if share is None:
            share = self._shares.setdefault(principal.name, _Share())
        came_at = self._clock()
        if share.use(count, came_at):
            return 0.0
        async with share.paying:
            # Whoever was here before may have paid for us as well, or waited in vain.
            if share.use(count, self._clock()):
                return 0.0
            if share.failed_at >= came_at:
                raise Unavailable("how much this principal brought cannot be told: the bus does not answer")
            try:
                return await self._pay(principal, share, count, before)
            except Unavailable:
                share.failed_at = self._clock()
                raise

    async def _pay(self, principal: Principal, share: _Share, count: int, before: int) -> float:
        each, key = 60.0 / principal.rate, f"rate.{digest_of('rate', principal.name)}"
        while True:
            now = self._clock()
            # What is left of the last share goes back with the same stroke.
            paid_at = max(now, _paid_at(share.row) - share.left * each)
            if paid_at - now > (principal.burst + MOST_EVENTS) * each:
                # Nobody can have paid for so much: it was the clock of somebody else that was ahead.
                await self._write(key, share, now + principal.burst * each, now)
                continue
            wait = paid_at + (min(count, principal.burst - before) - principal.burst) * each - now
            if wait > 0:
                if now - share.looked_at < _BELIEVED_SECONDS:
                    return wait
                row = await self._ledger.look(key)
                share.looked_at = now
                if row == share.row:
                    return wait
                share.row = row
                continue
            share.size = _next_size(principal, share, now)
            more = max(0, min(share.size, math.floor((now - paid_at) / each) + principal.burst - count))
            if await self._write(key, share, paid_at + (count + more) * each, now):
                share.left, share.paid_for_at = more, now
                return 0.0

    async def _write(self, key: str, share: _Share, paid_at: float, now: float) -> bool:
        """Write the row if it is still as it was seen; else look at it, and return False."""
        value, ttl = f"{paid_at:.6f}".encode(), timedelta(seconds=paid_at - now + _KEPT_SECONDS)
        revision = await self._ledger.replace(key, value, share.row.revision, ttl=ttl)
        share.row = await self._ledger.look(key) if revision is None else Row(value, revision)
        return revision is not None


def _paid_at(row: Row) -> float:
    return float(row.value) if row.value is not None else float("-inf")


def _next_size(principal: Principal, share: _Share, now: float) -> int:
    """Return how much to pay for in advance: twice as much as long as it is used up in time, else nothing."""
    if now - share.paid_for_at > SHARE_SECONDS:
        return 0
    most = min(principal.burst // _PART_OF_BURST, int(principal.rate / 60.0 * SHARE_SECONDS))
    return min(max(1, 2 * share.size), most)


class UsedTokens:
    """What each token was used for first: a retry of that is fine, anything else is a replay, at whichever replica."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._clock = clock

    async def bind(self, token: str, use: str, expires_at: float) -> bool:
        """Bind a token to a use as long as it is good, and return whether it may be used so.

        `token` is a hash of its issuer and `jti`, `use` one of what it is used for; `expires_at` is the claim `exp`.
        Raises Unavailable.
        """
        good = min(max(0.0, expires_at - self._clock()), _LONGEST_TOKEN) + _LONGEST_LEEWAY
        found = await self._ledger.note(f"jti.{token}", use.encode(), ttl=timedelta(seconds=good + 1))
        return found is None or found == use.encode()
