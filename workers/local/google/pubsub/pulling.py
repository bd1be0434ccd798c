"""Pulling, acknowledging and leases, one call at a time.

Follows https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions/pull, …/acknowledge and
…/modifyAckDeadline, and https://cloud.google.com/pubsub/docs/exactly-once-delivery.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1.types import pubsub

from workers.local.google.api import Handler
from workers.local.google.pubsub.bell import Bell, wait
from workers.local.google.pubsub.deliveries import Deliveries
from workers.local.google.pubsub.refusals import bounded, lost_leases
from workers.local.google.pubsub.subscriptions import MOST_ACK_DEADLINE, Subscriptions, terms
from workers.local.google.status import invalid_argument

# How long a Pull waits for a first message, in seconds; the cloud says only that it is bounded.
PATIENCE = 20.0
MOST_MESSAGES = 1000
_PullResponse = pubsub.PullResponse.pb()
_ReceivedMessage = pubsub.ReceivedMessage.pb()


class Pulling:
    """What subscribers do with the *deliveries* of *subscriptions*."""

    def __init__(self, subscriptions: Subscriptions, deliveries: Deliveries, bell: Bell) -> None:
        self.subscriptions = subscriptions
        self.deliveries = deliveries
        self._bell = bell

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {
            "Pull": self.pull,
            "Acknowledge": self.acknowledge,
            "ModifyAckDeadline": self.modify_ack_deadline,
        }

    async def pull(self, request: Any) -> Any:
        """Pull: what is there; where nothing is, what comes within a while."""
        subscription = self.subscriptions.read(request.subscription)
        bounded("max_messages", request.max_messages, 1, 2**31)
        end = time.monotonic() + (0.0 if request.return_immediately else PATIENCE)
        with self._bell.heard(subscription.name) as rung:
            while True:
                rung.clear()
                lease, limit = subscription.ack_deadline_seconds, min(request.max_messages, MOST_MESSAGES)
                received = self.take(subscription, "pull", lease, limit)
                left = end - time.monotonic()
                if received or left <= 0:
                    return _PullResponse(received_messages=received)
                await self.rest(subscription, rung, left)
                subscription = self.subscriptions.read(request.subscription)

    def acknowledge(self, request: Any) -> Any:
        """Acknowledge. With exactly-once delivery, refuses the ids whose lease is over, after settling the others."""
        subscription = self.subscriptions.read(request.subscription)
        if not request.ack_ids:
            raise invalid_argument("No ack ids specified.")
        self._refuse(subscription, self.settle(subscription, request.ack_ids))
        return Empty()

    def modify_ack_deadline(self, request: Any) -> Any:
        """ModifyAckDeadline. With exactly-once delivery, refuses ids as `acknowledge` does."""
        subscription = self.subscriptions.read(request.subscription)
        if not request.ack_ids:
            raise invalid_argument("No ack ids specified.")
        seconds = request.ack_deadline_seconds
        self._refuse(subscription, self.extend(subscription, [(ack_id, seconds) for ack_id in request.ack_ids]))
        return Empty()

    def take(self, subscription: Any, holder: str, lease: float, limit: int) -> list[Any]:
        """Return up to *limit* messages, leased to *holder* for *lease* seconds."""
        asked = terms(subscription)
        bury = partial(self.subscriptions.bury, subscription)
        self.deliveries.sweep(asked)
        found = self.deliveries.take(asked, holder, lease, limit, bury)
        return [
            _ReceivedMessage(
                ack_id=delivery.ack_id,
                message=pubsub.PubsubMessage.pb().FromString(delivery.body),
                delivery_attempt=delivery.attempt if asked.most_attempts else 0,
            )
            for delivery in found
        ]

    def settle(self, subscription: Any, ack_ids: Any) -> list[str]:
        """Acknowledge and return the ids whose lease is over. Raises INVALID_ARGUMENT."""
        lost = self.deliveries.acknowledge(terms(subscription), ack_ids)
        self._bell.ring(subscription.name)
        return lost

    def extend(self, subscription: Any, deadlines: list[tuple[str, int]]) -> list[str]:
        """Change leases and return the ids whose lease is over. Raises INVALID_ARGUMENT."""
        for _, seconds in deadlines:
            bounded("ack_deadline_seconds", seconds, 0, MOST_ACK_DEADLINE)
        lost = self.deliveries.extend(terms(subscription), deadlines)
        self._bell.ring(subscription.name)
        return lost

    async def rest(self, subscription: Any, rung: asyncio.Event, longest: float | None) -> None:
        """Wait until the bell rings or a lease ends, for *longest* seconds at most."""
        due = self.deliveries.next_due(terms(subscription))
        waits = [seconds for seconds in (longest, None if due is None else due - time.time()) if seconds is not None]
        await wait(rung, max(min(waits), 0.0) if waits else None)

    def _refuse(self, subscription: Any, lost: list[str]) -> None:
        if lost and subscription.enable_exactly_once_delivery:
            raise lost_leases(lost)
