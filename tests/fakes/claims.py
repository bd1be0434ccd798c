"""Claims in memory, with the semantics of the real ones: owner, attempt, step, takeover and result."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from workers.failures import LeaseLost
from workers.ports import Json, Lease


@dataclass
class Entry:
    """What is written down under one key."""

    owner: "FakeLease | None" = None
    silent: bool = False
    """The owner gives no sign of life any more: paused, or dead."""
    attempt: int = 0
    step: str | None = None
    result: Json | None = None
    lasts: timedelta | None = None
    """For how long the result is wanted; None for as long as is usual."""
    kept: Json | None = None


class FakeLease:
    """A held claim; a living owner has `seconds` left, always."""

    def __init__(self, entry: Entry, seconds: float) -> None:
        self.entry = entry
        self.attempt = entry.attempt
        self.step = entry.step
        self.kept = entry.kept
        self.seconds = seconds

    @property
    def taken_over(self) -> bool:
        """Whether somebody tried before."""
        return self.attempt > 1

    def left(self) -> float:
        """Return the seconds left: none once silent or replaced."""
        return self.seconds if self.entry.owner is self and not self.entry.silent else 0.0

    async def mark(self, step: str) -> None:
        """Write the step down, if the claim is still ours."""
        if self.entry.owner is not self:
            raise LeaseLost("somebody else holds this claim now")
        self.entry.step = step

    async def keep(self, value: Json) -> None:
        """Leave something for the next holder, if the claim is still ours."""
        if self.entry.owner is not self:
            raise LeaseLost("somebody else holds this claim now")
        self.entry.kept = self.kept = value


class FakeClaims:
    """One owner a key at a time; the first `steals` newcomers take over at once, as if a lease had run out."""

    def __init__(self, *, seconds: float = 20.0, steals: int = 0) -> None:
        self.entries: dict[str, Entry] = {}
        self.seconds = seconds
        self.steals = steals
        self._changed = asyncio.Condition()

    async def silence(self) -> None:
        """Stop every present owner's signs of life, as SIGSTOP or kill -9 would."""
        async with self._changed:
            for entry in self.entries.values():
                entry.silent = entry.owner is not None
            self._changed.notify_all()

    async def once(
        self,
        key: str,
        work: Callable[[Lease], Awaitable[Json]],
        *,
        under: Lease | None = None,
        kept: timedelta | None = None,
    ) -> Json:
        """Return the result for the key, or do the work; the fake only notes for how long it would be kept."""
        if under is not None and not under.left():
            raise LeaseLost("the lease under which this claim is asked for is somebody else's")
        entry = self.entries.setdefault(key, Entry())
        lease = await self._taken(entry, at_once=under is not None)
        if lease is None:
            assert entry.result is not None
            return entry.result
        try:
            result = await work(lease)
        except Exception:
            await self._released(entry, lease)
            raise
        if entry.owner is not lease:
            raise LeaseLost("the lease ended before the result was stored")
        entry.result, entry.lasts = result, kept
        await self._released(entry, lease)
        return result

    async def _taken(self, entry: Entry, *, at_once: bool = False) -> FakeLease | None:
        async with self._changed:
            await self._changed.wait_for(
                lambda: entry.result is not None or entry.owner is None or entry.silent or at_once or self.steals > 0
            )
            if entry.result is not None:
                return None
            if entry.owner is not None and not entry.silent and not at_once:
                self.steals -= 1
            entry.attempt += 1
            entry.owner, entry.silent = FakeLease(entry, self.seconds), False
            return entry.owner

    async def _released(self, entry: Entry, lease: FakeLease) -> None:
        async with self._changed:
            if entry.owner is lease:
                entry.owner = None
            self._changed.notify_all()

    def lease(self, key: str) -> AbstractAsyncContextManager[Lease]:
        """Hold the key while the block runs."""
        return self._lease(key)

    @asynccontextmanager
    async def _lease(self, key: str) -> AsyncIterator[Lease]:
        entry = self.entries.setdefault(key, Entry())
        lease = await self._taken(entry)
        assert lease is not None, "a key is either leased or done once, not both"
        try:
            yield lease
        except BaseException:
            await self._released(entry, lease)
            raise
        entry.attempt, entry.step = 0, None
        await self._released(entry, lease)
