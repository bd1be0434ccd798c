"""Subscriptions.

Follows https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions, with the defaults and bounds of
https://cloud.google.com/pubsub/docs/subscription-properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1.types import pubsub

from workers.local.google import paging
from workers.local.google.api import Handler
from workers.local.google.names import check
from workers.local.google.pubsub.bell import Bell
from workers.local.google.pubsub.deliveries import Deliveries, Terms
from workers.local.google.pubsub.refusals import bounded, checked, missing, taken
from workers.local.google.pubsub.topics import ATTACHMENT, SUBSCRIPTION, Topics
from workers.local.google.pubsub.updates import merged
from workers.local.google.status import invalid_argument, unimplemented
from workers.local.google.store import Store
from workers.local.google.transcode import check_representable

_Subscription = pubsub.Subscription.pb()
_ListResponse = pubsub.ListSubscriptionsResponse.pb()
_SETTABLE = frozenset(
    [
        "ack_deadline_seconds",
        "dead_letter_policy",
        "enable_exactly_once_delivery",
        "expiration_policy",
        "labels",
        "message_retention_duration",
        "retain_acked_messages",
        "retry_policy",
    ]
)
_KEPT = _SETTABLE | {"name", "topic", "push_config", "enable_message_ordering"}
_OUTPUT = frozenset({"state", "topic_message_retention_duration"})
_MINUTES, _DAYS = 60, 86400
_ACK_DEADLINE, LEAST_ACK_DEADLINE, MOST_ACK_DEADLINE = 10, 10, 600
_ATTEMPTS, _MOST_ATTEMPTS = 5, 100
_LEAST_BACKOFF, _MOST_BACKOFF = 10, 600


class Subscriptions:
    """The subscriptions in *store*."""

    def __init__(self, store: Store, topics: Topics, deliveries: Deliveries, bell: Bell) -> None:
        self._store = store
        self._topics = topics
        self._deliveries = deliveries
        self._bell = bell

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {
            "CreateSubscription": self.create,
            "GetSubscription": self.get,
            "ListSubscriptions": self.listed,
            "UpdateSubscription": self.update,
            "DeleteSubscription": self.delete,
        }

    def create(self, request: Any) -> Any:
        """CreateSubscription: gets what is published from now on."""
        subscription = self._completed(request)
        name, topic = subscription.name, self._topics.read(subscription.topic).name
        with self._store.transaction():
            if not self._store.insert(
                SUBSCRIPTION, name, name.split("/subscriptions/")[0], subscription.SerializeToString()
            ):
                raise taken(name)
            self._store.insert(ATTACHMENT, name, topic, name.encode())
        return subscription

    def get(self, request: Any) -> Any:
        """GetSubscription."""
        return self.read(request.subscription)

    def listed(self, request: Any) -> Any:
        """ListSubscriptions of a project."""
        project = check("project", request.project, "project")
        bodies, token = paging.stored(self._store, SUBSCRIPTION, project, request)
        return _ListResponse(subscriptions=[_Subscription.FromString(body) for body in bodies], next_page_token=token)

    def update(self, request: Any) -> Any:
        """UpdateSubscription."""
        old = self.read(request.subscription.name)
        subscription = self._completed(merged(SUBSCRIPTION, old, request.subscription, request.update_mask, _SETTABLE))
        self._store.write(SUBSCRIPTION, subscription.name, subscription.SerializeToString())
        self._bell.ring(subscription.name)
        return subscription

    def delete(self, request: Any) -> Any:
        """DeleteSubscription, with all its messages."""
        name = self.read(request.subscription).name
        with self._store.transaction():
            self._store.remove(SUBSCRIPTION, name)
            self._store.remove(ATTACHMENT, name)
            self._deliveries.forget(name)
        self._bell.ring(name)
        return Empty()

    def read(self, name: str) -> Any:
        """Return the subscription *name*. Raises NOT_FOUND."""
        body = self._store.read(SUBSCRIPTION, checked("subscriptions", name))
        if body is None:
            raise missing(name)
        return _Subscription.FromString(body)

    def bury(self, subscription: Any, attempts: int, body: bytes) -> bool:
        """Forward a message to the dead letter topic; False when that is gone.

        Follows https://cloud.google.com/pubsub/docs/handling-failures.
        """
        topic = subscription.dead_letter_policy.dead_letter_topic
        if not self._topics.exists(topic):
            return False
        message = pubsub.PubsubMessage.pb().FromString(body)
        _, project, _, short = subscription.name.split("/")
        message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] = str(attempts)
        message.attributes["CloudPubSubDeadLetterSourceSubscription"] = short
        message.attributes["CloudPubSubDeadLetterSourceSubscriptionProject"] = project
        message.attributes["CloudPubSubDeadLetterSourceTopicPublishTime"] = message.publish_time.ToJsonString()
        self._topics.deliver(topic, [message])
        return True

    def _completed(self, given: Any) -> Any:
        """Return the subscription to keep, from what a caller gave."""
        checked("subscriptions", given.name)
        for field, _ in given.ListFields():
            if field.name not in _KEPT | _OUTPUT or (field.name == "push_config" and given.push_config.ListFields()):
                raise unimplemented(f"{field.name} of a subscription")
        check_representable(given, "subscription")
        subscription = _Subscription()
        subscription.CopyFrom(given)
        subscription.push_config.SetInParent()
        subscription.state = pubsub.Subscription.State.ACTIVE
        subscription.ack_deadline_seconds = given.ack_deadline_seconds or _ACK_DEADLINE
        bounded("ack_deadline_seconds", subscription.ack_deadline_seconds, LEAST_ACK_DEADLINE, MOST_ACK_DEADLINE)
        if not given.HasField("message_retention_duration"):
            subscription.message_retention_duration.FromSeconds(7 * _DAYS)
        retention = _seconds(subscription.message_retention_duration)
        bounded("message_retention_duration", retention, 10 * _MINUTES, 31 * _DAYS)
        if not given.HasField("expiration_policy"):
            subscription.expiration_policy.ttl.FromSeconds(31 * _DAYS)
        if given.HasField("retry_policy"):
            _complete_retries(subscription.retry_policy)
        if given.HasField("dead_letter_policy"):
            policy = subscription.dead_letter_policy
            self._topics.read(policy.dead_letter_topic)
            policy.max_delivery_attempts = policy.max_delivery_attempts or _ATTEMPTS
            bounded("max_delivery_attempts", policy.max_delivery_attempts, _ATTEMPTS, _MOST_ATTEMPTS)
        return subscription


def terms(subscription: Any) -> Terms:
    """Return what *subscription* asks of its deliveries."""
    retries = subscription.retry_policy
    return Terms(
        name=subscription.name,
        ordered=subscription.enable_message_ordering,
        exactly_once=subscription.enable_exactly_once_delivery,
        retention=_seconds(subscription.message_retention_duration),
        least_backoff=_seconds(retries.minimum_backoff),
        most_backoff=_seconds(retries.maximum_backoff),
        most_attempts=subscription.dead_letter_policy.max_delivery_attempts,
    )


def _complete_retries(policy: Any) -> None:
    """Fill in the defaults of a retry policy. Raises INVALID_ARGUMENT."""
    if not policy.HasField("minimum_backoff"):
        policy.minimum_backoff.FromSeconds(_LEAST_BACKOFF)
    if not policy.HasField("maximum_backoff"):
        policy.maximum_backoff.FromSeconds(_MOST_BACKOFF)
    least, most = _seconds(policy.minimum_backoff), _seconds(policy.maximum_backoff)
    bounded("minimum_backoff", least, 0, _MOST_BACKOFF)
    bounded("maximum_backoff", most, 0, _MOST_BACKOFF)
    if least > most:
        raise invalid_argument("The minimum_backoff must not be greater than the maximum_backoff.")


def _seconds(duration: Any) -> float:
    return float(duration.ToNanoseconds() / 1e9)
