"""Waits where the outside admits no more for now, and says so: for people, who see the work go on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from workers.failures import QuotaExhausted
from workers.ports import Clock

Result = TypeVar("Result")
_SHORTEST = timedelta(milliseconds=100)


class Patience:
    """Makes calls again once the quota allows it. *say* gets a line before each wait."""

    def __init__(self, clock: Clock, say: Callable[[str], None]) -> None:
        self._clock = clock
        self._say = say

    async def make(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Make the call until the quota admits it. Raises QuotaExhausted after waiting for its deadline in vain."""
        waited = timedelta()
        while True:
            try:
                return await call()
            except QuotaExhausted as quota:
                waited += await self._waited(quota, waited)

    async def follow(self, listing: Callable[[], AsyncIterator[Result]]) -> AsyncIterator[Result]:
        """Yield what is listed, each once, beginning anew where the quota cut it short. Raises as `make` does."""
        waited, seen = timedelta(), set[Result]()
        while True:
            try:
                async for one in listing():
                    if one not in seen:
                        seen.add(one)
                        yield one
            except QuotaExhausted as quota:
                waited += await self._waited(quota, waited)
            else:
                return

    async def _waited(self, quota: QuotaExhausted, before: timedelta) -> timedelta:
        wait = max(quota.after, _SHORTEST)
        if before + wait > quota.deadline:
            raise quota
        at = (self._clock.now() + wait).astimezone()
        self._say(f"{quota}: waiting {wait.total_seconds():.0f} s, until {at:%H:%M:%S}")
        await self._clock.sleep(wait)
        return wait
