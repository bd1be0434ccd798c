"""A clock that tests own."""

import asyncio
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Time passes only while somebody sleeps, and then at once."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.slept: list[timedelta] = []

    def now(self) -> datetime:
        """Return the fake time."""
        return self.time

    async def sleep(self, duration: timedelta) -> None:
        """Let the time pass and give everybody else a turn."""
        self.slept.append(duration)
        self.time += duration
        await asyncio.sleep(0)
