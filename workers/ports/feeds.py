"""Subscriptions of another message system, which the bridge carries to the bus."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol


class FeedMessage(Protocol):
    """One message that a subscription delivered. It is ours until it is acknowledged or handed back."""

    @property
    def data(self) -> bytes:
        """The body, as it was published."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """What the publisher said beside the body."""

    @property
    def message_id(self) -> str:
        """The server's id of the message, the same at each delivery."""

    @property
    def published_at(self) -> datetime:
        """When the server took it from its publisher; with a time zone."""

    @property
    def ordering_key(self) -> str:
        """Messages with the same key are delivered in order; empty when the order does not matter."""

    @property
    def attempt(self) -> int | None:
        """Which delivery this is, if the subscription counts them."""

    def ack(self) -> None:
        """Say that the message is done with. Returns at once; what is lost leads to another delivery."""

    def nack(self) -> None:
        """Hand the message back, to be delivered again at once, here or elsewhere. Returns at once."""


class Feed(Protocol):
    """One subscription. It holds a bounded number of messages, and renews the lease of each until it is answered."""

    @property
    def subscription(self) -> str:
        """Its resource name: `projects/PROJECT/subscriptions/NAME`."""

    @property
    def problem(self) -> str | None:
        """Why nothing comes now, in one sentence; None while it pulls, or was never started."""

    async def look(self) -> str:
        """Say in a few words how the subscription stands, without taking anything from it.

        Raises NotFound when it is not there, Denied when it may not be looked at, which pulling does not need, Invalid
        when nothing can be pulled from it, and Unavailable.
        """

    async def start(self, take: Callable[[FeedMessage], None]) -> None:
        """Begin to pull. `take` is called in the running event loop, once for each message, and does not block.

        Returns at once; a subscription that cannot be reached is tried again and again, and is a `problem` meanwhile.
        May be called again after `stop`.
        """

    async def stop(self) -> None:
        """Pull no more, and hand back what `take` has not got. What it has got keeps its lease and can be acked."""

    async def close(self) -> None:
        """Send the last acknowledgements, and end. What was not acked is delivered again."""


class Feeds(tuple[Feed, ...]):
    """All subscriptions of an installation."""

    __slots__ = ()
