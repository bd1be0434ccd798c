"""The bell of each subscription: rung when there may be something to deliver, heard by all who wait for it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Bell:
    """One bell per subscription, in one event loop."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def ring(self, subscription: str) -> None:
        """Wake everybody who listens to *subscription*."""
        for event in self._listeners.get(subscription, ()):
            event.set()

    @contextmanager
    def heard(self, subscription: str) -> Iterator[asyncio.Event]:
        """Give the event that each ring sets."""
        event = asyncio.Event()
        self._listeners[subscription].add(event)
        try:
            yield event
        finally:
            self._listeners[subscription].discard(event)
            if not self._listeners[subscription]:
                del self._listeners[subscription]


async def wait(event: asyncio.Event, seconds: float | None) -> None:
    """Wait until *event* is set, for *seconds* at most; None is forever."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
