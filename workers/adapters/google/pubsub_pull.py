"""One streaming pull: Google's own subscriber, with a scheduler that brings messages to the event loop in batches.

Google's client keeps the stream, the leases and the flow control, each in a thread of its own; what it hands over
goes to the loop with one wake-up for many messages, not to a pool of threads (the public abstract class `Scheduler`).
Import it late: Google's client takes about a second.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from queue import SimpleQueue
from typing import Any

from google.cloud.pubsub_v1 import types
from google.cloud.pubsub_v1.subscriber.scheduler import Scheduler

from workers.adapters.google.pubsub_connection import OpenClient
from workers.ports.feeds import FeedMessage

log = logging.getLogger(__name__)
_LONGEST_LEASE = 10 * 365 * 86400.0
"""Seconds. A lease is renewed until its message is answered: one dropped earlier would no longer count as held."""


class Delivered:
    """A message as the port has it."""

    __slots__ = ("_answered", "_courier", "_message")

    def __init__(self, message: Any, courier: "Courier") -> None:
        self._message = message
        self._courier = courier
        self._answered = False

    @property
    def data(self) -> bytes:
        """The body."""
        data: bytes = self._message.data
        return data

    @property
    def attributes(self) -> Mapping[str, str]:
        """The attributes, of one's own: Google's map makes up values for keys that it lacks."""
        return dict(self._message.attributes)

    @property
    def message_id(self) -> str:
        """Pub/Sub's id."""
        name: str = self._message.message_id
        return name

    @property
    def published_at(self) -> datetime:
        """When Pub/Sub took it."""
        at: datetime = self._message.publish_time
        return at

    @property
    def ordering_key(self) -> str:
        """The ordering key, or nothing."""
        key: str = self._message.ordering_key
        return key

    @property
    def attempt(self) -> int | None:
        """Which delivery this is; only subscriptions with a dead letter policy count."""
        attempt: int | None = self._message.delivery_attempt
        return attempt

    def ack(self) -> None:
        """Acknowledge; what was answered already stays so."""
        if not self._answered:
            self._answered = True
            self._courier.ack(self._message)

    def nack(self) -> None:
        """Hand back; what was answered already stays so."""
        if not self._answered:
            self._answered = True
            self._courier.nack(self._message)


class Courier(Scheduler):  # type: ignore[misc]  # Google's package carries no types
    """Takes messages from Google's threads and hands them over in the event loop; counts those that are held.

    When it was stopped from here, Google's shutdown waits in it until all that was handed over is answered: so long
    leases are renewed and acknowledgements are sent. What Google's client keeps back itself (messages behind another
    one of their ordering key, and those beyond the limit, which only the emulator sends) goes back after that.
    """

    def __init__(self, take: Callable[[FeedMessage], None], freed: Callable[[], None]) -> None:
        """`freed` is called when a message is answered after the stop."""
        self._loop = asyncio.get_running_loop()
        self._take = take
        self._freed = freed
        self._requests: SimpleQueue[Any] = SimpleQueue()
        self._arrived: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._woken = False
        self._stopped = False
        self._waits = False
        self._over = False
        self._drained = threading.Event()
        self._unconfirmed = 0
        self.held = 0
        """Messages handed over and not answered yet."""

    @property
    def queue(self) -> Any:
        """What Google's dispatcher reads: acknowledgements and the like."""
        return self._requests

    def schedule(self, callback: Callable[..., None], *args: Any, **_: Any) -> None:
        """Bring a message to the loop. Called in Google's threads."""
        message = args[0]
        if self._stopped:
            message.nack()
            return
        self._arrived.append((callback, message))
        if not self._woken:
            self._woken = True
            self._call(self._hand_over)

    def shutdown(self, await_msg_callbacks: bool = False) -> list[Any]:  # noqa: ARG002, FBT001, FBT002 - the base's words
        """Return what nobody got; after a stop from here, not before what was handed over is answered."""
        self._stopped = True
        left = [message for _, message in self._rest()]
        if self._waits:
            self._drained.wait()
        self._over = True
        return left

    def deliver(self, message: Any) -> None:
        """Give one message to its taker, in the loop."""
        try:
            self._take(Delivered(message, self))
        except Exception:
            log.exception("a message of Pub/Sub was handed back: whoever takes them failed")
            message.nack()
            return
        self.held += 1

    def ack(self, message: Any) -> None:
        """Acknowledge; on a subscription with exactly-once delivery it counts when Pub/Sub has confirmed it."""
        if not self._over:
            if message.exactly_once_enabled:
                self._unconfirmed += 1
                message.ack_with_response().add_done_callback(self._confirm)
            else:
                message.ack()
        self._answered()

    def nack(self, message: Any) -> None:
        """Hand back."""
        if not self._over:
            message.nack()
        self._answered()

    def stop(self) -> None:
        """Hand nothing over any more, and give back what has arrived."""
        self._stopped = self._waits = True
        for _, message in self._rest():
            message.nack()
        self._see_whether_drained()

    def release(self) -> None:
        """Wait no longer for what is not answered."""
        self._drained.set()

    def _hand_over(self) -> None:
        self._woken = False
        for callback, message in self._rest():
            if self._stopped:
                message.nack()
            else:
                callback(message)

    def _rest(self) -> Any:
        """Yield and remove what has arrived; several threads may ask at once."""
        with suppress(IndexError):
            while True:
                yield self._arrived.popleft()

    def _answered(self) -> None:
        self.held -= 1
        if self._stopped:
            self._see_whether_drained()
            self._freed()

    def _confirm(self, future: Any) -> None:
        self._call(self._confirmed, future.exception())

    def _confirmed(self, error: BaseException | None) -> None:
        self._unconfirmed -= 1
        if error is not None:
            log.info("Pub/Sub did not take an acknowledgement, so it delivers the message again: %s", error)
        self._see_whether_drained()

    def _see_whether_drained(self) -> None:
        if self._waits and self.held <= 0 and self._unconfirmed <= 0:
            self._drained.set()

    def _call(self, work: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody takes anything any more
            self._loop.call_soon_threadsafe(work, *arguments)


def limits(*, messages: int, size: int, lease: int) -> Any:
    """Return how much is held at once (*size* in bytes in all), and for how many seconds each message is leased."""
    return types.FlowControl(
        max_messages=messages,
        max_bytes=size,
        max_lease_duration=_LONGEST_LEASE,
        max_duration_per_lease_extension=lease,
    )


class Pull:
    """A stream from its opening to its end."""

    def __init__(self, client: OpenClient, subscription: str, courier: Courier, limits: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._courier = courier
        self.ended: asyncio.Future[BaseException | None] = self._loop.create_future()
        """Done when all threads of the stream are; holds what ended it, None when it was stopped."""
        self._future = client.google.subscribe(subscription, courier.deliver, flow_control=limits, scheduler=courier)
        self._future.add_done_callback(self._done)

    @property
    def held(self) -> int:
        """How many messages are handed over and not answered."""
        return self._courier.held

    def stop(self) -> None:
        """Take no more; the stream ends by itself when what was handed over is answered."""
        self._courier.stop()
        self._future.cancel()

    async def close(self, patience: float) -> None:
        """End without what is not answered: the last acknowledgements get *patience* seconds."""
        self.stop()
        self._courier.release()
        await asyncio.wait([self.ended], timeout=patience)
        await self._client.close()

    def _done(self, future: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._end, future.exception())

    def _end(self, error: BaseException | None) -> None:
        if not self.ended.done():
            self.ended.set_result(error)
