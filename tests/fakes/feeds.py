"""Feeds in memory: a subscription that delivers at least once, and remembers what became of each message."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from workers.ports import FeedMessage

SUBSCRIPTION = "projects/acme/subscriptions/gcr-bridge"


@dataclass
class FakeMessage:
    """One delivery of one message."""

    feed: "FakeFeed"
    data: bytes
    attributes: Mapping[str, str]
    message_id: str
    published_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ordering_key: str = ""
    attempt: int | None = None

    def ack(self) -> None:
        """See workers.ports.FeedMessage."""
        self.feed.ended(self, acked=True)

    def nack(self) -> None:
        """See workers.ports.FeedMessage."""
        self.feed.ended(self, acked=False)


class FakeFeed:
    """A subscription. What is handed back is delivered again, after what waits."""

    def __init__(self, subscription: str = SUBSCRIPTION, *, most: int = 1000) -> None:
        self.subscription = subscription
        self.problem: str | None = None
        self.acked: list[str] = []
        self.nacked: list[str] = []
        self.held: dict[str, FakeMessage] = {}
        self.most_held = 0
        self.closed = False
        self._most = most
        self._waiting: deque[FakeMessage] = deque()
        self._take: Callable[[FeedMessage], None] | None = None

    def publish(self, data: bytes, message_id: str | None = None, **attributes: str) -> str:
        """Put a message on the subscription, and return its id."""
        message_id = message_id or str(len(self._waiting) + len(self.acked) + len(self.held) + 1)
        self._waiting.append(FakeMessage(self, data, attributes, message_id))
        self._pump()
        return message_id

    def redeliver(self, message: FakeMessage) -> None:
        """Deliver a message again, though it was acknowledged, as Pub/Sub may."""
        self._waiting.append(message)
        self._pump()

    @property
    def delivering(self) -> bool:
        """Whether somebody takes."""
        return self._take is not None

    @property
    def empty(self) -> bool:
        """Whether everything was acknowledged."""
        return not self._waiting and not self.held

    async def look(self) -> str:
        """See workers.ports.Feed."""
        return "is in memory"

    async def start(self, take: Callable[[FeedMessage], None]) -> None:
        """See workers.ports.Feed."""
        assert not self.closed
        self._take = take
        self._pump()

    async def stop(self) -> None:
        """See workers.ports.Feed."""
        self._take = None

    async def close(self) -> None:
        """See workers.ports.Feed."""
        self.closed = True

    def ended(self, message: FakeMessage, *, acked: bool) -> None:
        """Note what became of a message, and make it come again if it was handed back."""
        assert self.held.pop(message.message_id, None) is message, "answered twice"
        (self.acked if acked else self.nacked).append(message.message_id)
        if not acked:
            self._waiting.append(message)
        self._pump()

    def _pump(self) -> None:
        if self._take is not None:
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        while self._take is not None and self._waiting and len(self.held) < self._most:
            message = self._waiting.popleft()
            self.held[message.message_id] = message
            self.most_held = max(self.most_held, len(self.held))
            self._take(message)
