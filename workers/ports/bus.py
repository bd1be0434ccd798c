"""What the bus gives a worker: a voice, claims, rates; and time."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

from workers.failures import QuotaExhausted

Json = Mapping[str, Any]


class Progress(Protocol):
    """Says what is happening, to whoever follows the run. Never awaits the bus; never say a secret."""

    def step(self, name: str) -> AbstractAsyncContextManager[None]:
        """Announce a step when it begins, and when it is done or failed with the time it took."""

    def log(self, message: str) -> None:
        """Say one line."""


class Lease(Protocol):
    """A held claim. It does not fence the outside world: check `left()` before each outside effect."""

    attempt: int
    """1 when nobody tried this before."""
    step: str | None
    """The last step that an earlier holder marked; None when nobody marked one."""
    kept: Json | None
    """What an earlier holder left for the next one, however long ago; None when nobody did."""

    @property
    def taken_over(self) -> bool:
        """Whether somebody began before us: the outcome is unknown, so look, wait out the read lag, then act."""

    def left(self) -> float:
        """Return the seconds for which nobody else can take this over, by our own monotonic clock."""

    async def mark(self, step: str) -> None:
        """Write down how far we are, before doing it. Raises LeaseLost."""

    async def keep(self, value: Json) -> None:
        """Leave something for the next holder, at most 64 KiB, in place of what was left before. Raises LeaseLost."""


class Claims(Protocol):
    """Makes sure that work which must not happen twice has one owner at a time, and remembers the result."""

    async def once(
        self,
        key: str,
        work: Callable[[Lease], Awaitable[Json]],
        *,
        under: Lease | None = None,
        kept: timedelta | None = None,
    ) -> Json:
        """Return the stored result for the key, or do the work under a lease and store what it returns.

        Waits while somebody else holds the key; but not where all who ask for it do so `under` one other lease: who
        has that one knows that nobody else works. The result is `kept` for so long after; else for as long as the
        settings have it. Raises LeaseLost when either lease ended before the result was
        stored, and whatever the work raised.
        """

    def lease(self, key: str) -> AbstractAsyncContextManager[Lease]:
        """Hold the key while the block runs, without remembering a result."""


class Rates(Protocol):
    """The rates at which the outside admits calls: learned from its refusals, shared by all replicas of a worker."""

    async def turn(self, name: str, *, within: timedelta) -> timedelta:
        """Take the next turn and return how long until it comes: nothing while no limit is known.

        Raises QuotaExhausted, and takes none, when the next one is further away than `within`.
        """

    async def refused(self, name: str, failure: QuotaExhausted) -> None:
        """Remember what a refusal says of the limit: all replicas keep to it for a while."""


class Clock(Protocol):
    """Time as an argument, so that tests own it."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""

    async def sleep(self, duration: timedelta) -> None:
        """Wait."""
