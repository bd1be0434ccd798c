"""A continuous pull from one durable consumer, on nats-py's public API.

Keeps a request open at the server all the time, so that messages flow without a round trip each. Requests carry an
idle heartbeat: a request that died with a reconnect, a leader change or a deleted consumer is noticed and made anew.
Nothing is folded away: what the server answers instead of messages is kept as `trouble`, for readiness to say.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from workers.bus.transport.connection import Connection
from workers.bus.transport.delivery import Delivery, read_delivery
from workers.bus.transport.headers import DESCRIPTION, STATUS

log = logging.getLogger(__name__)
_HEARTBEAT = "100"
_TIMEOUT = "408"
_NOT_FOUND = "404"
_PENDING = "Nats-Pending-Messages"
_NANO = 1_000_000_000


class Pull:
    """Pulls from one consumer while there is room for more.

    `room()` says how many messages the holder would take now, `least()` for how many it is worth asking; `deliver` gets
    each one and must not block.
    """

    def __init__(
        self,
        connection: Connection,
        stream: str,
        consumer: str,
        *,
        room: Callable[[], int],
        least: Callable[[], int],
        deliver: Callable[[Delivery], None],
        expires: float = 30.0,
        heartbeat: float = 2.0,
    ) -> None:
        self.stream = stream
        self.consumer = consumer
        self.trouble: str | None = "not yet pulling"
        self._connection = connection
        self._room = room
        self._least = least
        self._deliver = deliver
        self._expires = expires
        self._heartbeat = heartbeat
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = f"{connection.inbox_prefix}.pull{time.monotonic_ns():x}"
        self._generation = 0
        self._pending = 0
        self._asked_at = 0.0
        self._heard_at = 0.0
        self._wait_until = 0.0
        self._subscription: Subscription | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Subscribe and ask for the first messages."""
        self._subscription = await self._connection.client.subscribe(
            f"{self._inbox}.*", cb=self._received, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        self._connection.reconnected.append(self._ask_anew)
        self._watch = asyncio.create_task(self._watching(), name=f"pull {self.stream}/{self.consumer}")
        await self.ask()

    async def stop(self) -> None:
        """Stop; every message that the server sent before it heard of it has been delivered when this returns."""
        subscription = self._subscription
        self.abandon()
        self.trouble = "stopped"
        if subscription is not None:
            try:
                await asyncio.wait_for(subscription.drain(), timeout=5)  # type: ignore[no-untyped-call] # nats-py
            except (nats.errors.Error, TimeoutError):
                log.warning("the pull from %s/%s ended while the server was away", self.stream, self.consumer)

    def abandon(self) -> None:
        """Forget a pull whose connection is dead: nothing can be said to the server any more."""
        if self._watch is not None:
            self._watch.cancel()
        if self._ask_anew in self._connection.reconnected:
            self._connection.reconnected.remove(self._ask_anew)
        self._subscription = None

    async def ask(self) -> None:
        """Ask for as many messages as there is room for, less what was asked for already."""
        wanted = self._room() - self._pending
        if wanted < self._least() or self._subscription is None or time.monotonic() < self._wait_until:
            return
        self._pending += wanted
        self._asked_at = time.monotonic()
        request = {
            "batch": wanted,
            "expires": int(self._expires * _NANO),
            "idle_heartbeat": int(self._heartbeat * _NANO),
        }
        try:
            await self._connection.client.publish(
                self._subject, json.dumps(request).encode(), reply=f"{self._inbox}.{self._generation}"
            )
        except nats.errors.Error as error:
            self._pending -= wanted
            self.trouble = f"cannot ask for messages: {error}"

    async def _received(self, message: Msg) -> None:
        self._heard_at = time.monotonic()
        if message.reply and message.reply.startswith("$JS.ACK."):
            self.trouble = None
            self._pending = max(0, self._pending - 1)
            self._deliver(read_delivery(message))
            return
        headers = message.headers or {}
        if headers.get(STATUS) == _HEARTBEAT:
            self.trouble = None
        elif message.subject.endswith(f".{self._generation}"):
            self._ended(headers.get(STATUS, ""), headers.get(DESCRIPTION, ""), headers.get(_PENDING))
        await self.ask()

    def _ended(self, status: str, description: str, unfilled: str | None) -> None:
        """Note that a request ended: with 408 it ran out, as requests do; anything else is trouble."""
        self._pending = max(0, self._pending - int(unfilled)) if unfilled and unfilled.isdigit() else 0
        if status in {_TIMEOUT, _NOT_FOUND}:
            return
        self._wait_until = time.monotonic() + 0.25
        reason = f"{status} {description}".strip()
        if status == "503":
            reason = "no such stream or consumer, or JetStream is not there"
        if self.trouble != reason:
            log.warning("pull from %s/%s: %s", self.stream, self.consumer, reason)
        self.trouble = reason

    async def _ask_anew(self) -> None:
        """Forget what was asked for: a reconnect or silence means that the server has forgotten it too."""
        self._generation += 1
        self._pending = 0
        self._heard_at = time.monotonic()
        await self.ask()

    async def _watching(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            if not self._connection.client.is_connected:
                self.trouble = "not connected to NATS"
                continue
            silent = time.monotonic() - max(self._heard_at, self._asked_at)
            if self._pending and silent > 2 * self._heartbeat + 1:
                if self.trouble is None:
                    self.trouble = f"no sign of life from the consumer for {silent:.0f} s"
                    log.warning("pull from %s/%s: %s", self.stream, self.consumer, self.trouble)
                await self._ask_anew()
            else:
                await self.ask()
