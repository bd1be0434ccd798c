"""The machine's own clock."""

import asyncio
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The port `Clock` on this machine."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""
        return datetime.now(UTC)

    async def sleep(self, duration: timedelta) -> None:
        """Wait; a duration that is over already returns at once."""
        await asyncio.sleep(max(0.0, duration.total_seconds()))
