"""StreamingPull: messages as they come, with flow control, and leases over the same stream.

Follows the comments of StreamingPullRequest and StreamingPullResponse in google/pubsub/v1/pubsub.proto.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from google.pubsub_v1.types import pubsub

from workers.local.google.api import Send
from workers.local.google.pubsub.bell import Bell
from workers.local.google.pubsub.pulling import Pulling
from workers.local.google.pubsub.refusals import bounded
from workers.local.google.pubsub.subscriptions import LEAST_ACK_DEADLINE, MOST_ACK_DEADLINE, terms
from workers.local.google.status import invalid_argument

_StreamingPullResponse = pubsub.StreamingPullResponse.pb()
# How many messages one response holds at most: streams of one subscription take turns after each.
_BATCH = 100
_FIRST_ONLY = ("subscription", "client_id", "max_outstanding_messages", "max_outstanding_bytes", "protocol_version")


class Streaming:
    """Answers the streams of all subscriptions."""

    def __init__(self, pulling: Pulling, bell: Bell) -> None:
        self._pulling = pulling
        self._bell = bell

    async def answer(self, requests: AsyncIterator[Any], send: Send) -> None:
        """StreamingPull, until the client ends it or the subscription is gone."""
        first = await anext(requests)
        subscription = self._pulling.subscriptions.read(first.subscription)
        with self._bell.heard(subscription.name) as rung:
            stream = _Stream(self._pulling, first, rung)
            reading = asyncio.create_task(stream.read(first, requests))
            try:
                await stream.write(reading, send)
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading


class _Stream:
    """One stream, which *first* opened; *rung* is set when there may be something to send."""

    def __init__(self, pulling: Pulling, first: Any, rung: asyncio.Event) -> None:
        self._pulling = pulling
        self._name = first.subscription
        self._rung = rung
        self._holder = uuid.uuid4().hex
        self._most_messages = first.max_outstanding_messages
        self._most_bytes = first.max_outstanding_bytes
        self._confirmations: list[Any] = []
        self._lease = 0
        self._set_lease(first.stream_ack_deadline_seconds)

    async def read(self, first: Any, requests: AsyncIterator[Any]) -> None:
        """Do what the requests ask for. Raises ApiError."""
        try:
            self._follow(first)
            async for request in requests:
                for field in _FIRST_ONLY:
                    if getattr(request, field):
                        raise invalid_argument(f"{field} must be set in the first request of the stream only.", field)
                if request.stream_ack_deadline_seconds:
                    self._set_lease(request.stream_ack_deadline_seconds)
                self._follow(request)
        finally:
            self._rung.set()

    async def write(self, reading: asyncio.Task[None], send: Send) -> None:
        """Send what there is to send until *reading* ends. Raises ApiError."""
        known = None
        while True:
            self._rung.clear()
            if reading.done():
                await reading
                for confirmation in self._confirmations:
                    await send(confirmation)
                return
            subscription = self._pulling.subscriptions.read(self._name)
            response = self._next(subscription)
            properties = self._properties(subscription)
            if response is None and properties == known:
                await self._pulling.rest(subscription, self._rung, None)
                continue
            response = response or _StreamingPullResponse()
            response.subscription_properties.CopyFrom(properties)
            await send(response)
            known = properties

    def _next(self, subscription: Any) -> Any:
        """Return the next response, or None when there is none to send now."""
        if self._confirmations:
            return self._confirmations.pop(0)
        room = _BATCH
        if self._most_messages > 0 or self._most_bytes > 0:
            self._pulling.deliveries.sweep(terms(subscription))
            count, size = self._pulling.deliveries.outstanding(self._holder)
            if self._most_messages > 0:
                room = min(room, self._most_messages - count)
            if 0 < self._most_bytes <= size:
                room = 0
        received = self._pulling.take(subscription, self._holder, self._lease, room) if room > 0 else []
        return _StreamingPullResponse(received_messages=received) if received else None

    def _follow(self, request: Any) -> None:
        """Acknowledge and change leases as *request* says."""
        seconds, ack_ids = request.modify_deadline_seconds, request.modify_deadline_ack_ids
        if len(seconds) != len(ack_ids):
            raise invalid_argument("modify_deadline_seconds and modify_deadline_ack_ids must have the same size.")
        subscription = self._pulling.subscriptions.read(self._name)
        confirmation = _StreamingPullResponse()
        if request.ack_ids:
            lost = self._pulling.settle(subscription, request.ack_ids)
            _confirm(confirmation.acknowledge_confirmation, request.ack_ids, lost)
        if ack_ids:
            lost = self._pulling.extend(subscription, list(zip(ack_ids, seconds, strict=True)))
            _confirm(confirmation.modify_ack_deadline_confirmation, ack_ids, lost)
        if subscription.enable_exactly_once_delivery and confirmation.ListFields():
            self._confirmations.append(confirmation)
            self._rung.set()

    def _set_lease(self, seconds: int) -> None:
        bounded("stream_ack_deadline_seconds", seconds, LEAST_ACK_DEADLINE, MOST_ACK_DEADLINE)
        self._lease = seconds

    def _properties(self, subscription: Any) -> Any:
        return _StreamingPullResponse.SubscriptionProperties(
            exactly_once_delivery_enabled=subscription.enable_exactly_once_delivery,
            message_ordering_enabled=subscription.enable_message_ordering,
        )


def _confirm(confirmation: Any, ack_ids: Any, lost: list[str]) -> None:
    gone = set(lost)
    confirmation.ack_ids.extend(ack_id for ack_id in ack_ids if ack_id not in gone)
    confirmation.invalid_ack_ids.extend(lost)
