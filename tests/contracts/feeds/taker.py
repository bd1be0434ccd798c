"""Takes messages of a feed, and waits for them without blocking the loop."""

import asyncio
import time
from collections.abc import Callable

from workers.ports.feeds import Feed, FeedMessage

DEADLINE = 90.0
"""Seconds. The emulator notices late that a stream is dead, and leases messages to it meanwhile."""


class Taker:
    """Keeps what a feed hands over; with `acks` it acknowledges at once."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.taken: list[FeedMessage] = []
        self.acks = False

    @property
    def texts(self) -> list[str]:
        """What the messages say, in the order they came."""
        return [message.data.decode() for message in self.taken]

    async def start(self) -> None:
        """Start the feed."""
        await self.feed.start(self.take)

    def take(self, message: FeedMessage) -> None:
        """Take one message."""
        self.taken.append(message)
        if self.acks:
            message.ack()

    async def until(self, there: Callable[[], bool], what: str) -> None:
        """Wait for a state of affairs."""
        end = time.monotonic() + DEADLINE
        while not there():
            assert time.monotonic() < end, f"{what}, but {self.texts[-20:]} came and {self.feed.problem}"
            await asyncio.sleep(0.02)

    async def come(self, count: int) -> list[FeedMessage]:
        """Wait until so many messages have come."""
        await self.until(lambda: len(self.taken) >= count, f"{count} messages should come")
        return self.taken

    async def has_problem(self, words: str) -> str:
        """Wait for a problem with these words, and return all of it."""
        await self.until(lambda: words in (self.feed.problem or ""), f"the problem should say {words!r}")
        return str(self.feed.problem)

    async def has_no_problem(self) -> None:
        """Wait until nothing is wrong."""
        await self.until(lambda: self.feed.problem is None, "there should be no problem")
