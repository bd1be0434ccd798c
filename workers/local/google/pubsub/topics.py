"""Topics and publishing.

Follows https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics and, for the limits of a request,
https://cloud.google.com/pubsub/quotas#resource_limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1.types import pubsub

from workers.local.google import paging
from workers.local.google.api import Handler
from workers.local.google.clock import now
from workers.local.google.names import check
from workers.local.google.pubsub.bell import Bell
from workers.local.google.pubsub.deliveries import Deliveries
from workers.local.google.pubsub.refusals import bounded, checked, missing, taken
from workers.local.google.pubsub.updates import merged
from workers.local.google.status import invalid_argument, unimplemented
from workers.local.google.store import Store
from workers.local.google.transcode import check_representable

KIND = "Topic"
SUBSCRIPTION = "Subscription"
# The attachments of subscriptions: named as the subscription, below the topic.
ATTACHMENT = "TopicSubscription"
DELETED = "_deleted-topic_"
_Topic = pubsub.Topic.pb()
_ListResponse = pubsub.ListTopicsResponse.pb()
_AttachedResponse = pubsub.ListTopicSubscriptionsResponse.pb()
_PublishResponse = pubsub.PublishResponse.pb()
_KEPT = frozenset({"name", "labels", "message_storage_policy", "message_retention_duration"})
_MINUTES, _DAYS = 60, 86400
_MOST_MESSAGES, _MOST_ATTRIBUTES = 1000, 100
_MOST_BYTES, _MOST_KEY, _MOST_VALUE, _MOST_ORDERING_KEY = 10_000_000, 256, 1024, 1024


class Topics:
    """The topics in *store*; what is published goes to *deliveries*."""

    def __init__(self, store: Store, deliveries: Deliveries, bell: Bell) -> None:
        self._store = store
        self._deliveries = deliveries
        self._bell = bell

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {
            "CreateTopic": self.create,
            "GetTopic": self.get,
            "ListTopics": self.listed,
            "UpdateTopic": self.update,
            "DeleteTopic": self.delete,
            "Publish": self.publish,
            "ListTopicSubscriptions": self.attached,
        }

    def create(self, request: Any) -> Any:
        """CreateTopic."""
        topic = _completed(request)
        if not self._store.insert(KIND, topic.name, topic.name.split("/topics/")[0], topic.SerializeToString()):
            raise taken(topic.name)
        return topic

    def get(self, request: Any) -> Any:
        """GetTopic."""
        return self.read(request.topic)

    def listed(self, request: Any) -> Any:
        """ListTopics of a project."""
        project = check("project", request.project, "project")
        bodies, token = paging.stored(self._store, KIND, project, request)
        return _ListResponse(topics=[_Topic.FromString(body) for body in bodies], next_page_token=token)

    def attached(self, request: Any) -> Any:
        """ListTopicSubscriptions."""
        topic = self.read(request.topic).name
        bodies, token = paging.stored(self._store, ATTACHMENT, topic, request)
        return _AttachedResponse(subscriptions=[body.decode() for body in bodies], next_page_token=token)

    def update(self, request: Any) -> Any:
        """UpdateTopic: labels, storage policy and retention."""
        old = self.read(request.topic.name)
        topic = _completed(merged("Topic", old, request.topic, request.update_mask, _KEPT - {"name"}))
        self._store.write(KIND, topic.name, topic.SerializeToString())
        return topic

    def delete(self, request: Any) -> Any:
        """DeleteTopic: its subscriptions stay, with what they have, and get nothing new."""
        name = self.read(request.topic).name
        with self._store.transaction():
            for subscription in self._subscriptions(name):
                body = self._store.read(SUBSCRIPTION, subscription)
                orphan = pubsub.Subscription.pb().FromString(body or b"")
                orphan.topic = DELETED
                self._store.write(SUBSCRIPTION, subscription, orphan.SerializeToString())
                self._store.remove(ATTACHMENT, subscription)
            self._store.remove(KIND, name)
        return Empty()

    def publish(self, request: Any) -> Any:
        """Publish: every message to every subscription of the topic, or nothing."""
        name = self.read(request.topic).name
        bounded("message_count", len(request.messages), 1, _MOST_MESSAGES)
        bounded("request_size", request.ByteSize(), 0, _MOST_BYTES)
        for message in request.messages:
            _check(message)
        with self._store.transaction():
            ids = self.deliver(name, request.messages)
        return _PublishResponse(message_ids=ids)

    def deliver(self, topic: str, messages: Iterable[Any]) -> list[str]:
        """Give *messages* ids and hand them to the subscriptions of *topic*, inside a transaction of the caller."""
        stamp, subscriptions = now(), self._subscriptions(topic)
        published = stamp.ToNanoseconds() / 1e9
        accepted = list(messages)
        ids = [str(number) for number in self._deliveries.new_ids(len(accepted))]
        for message_id, message in zip(ids, accepted, strict=True):
            message.message_id = message_id
            message.publish_time.CopyFrom(stamp)
            body = message.SerializeToString()
            for subscription in subscriptions:
                self._deliveries.add(subscription, message.ordering_key, published, body)
        for subscription in subscriptions:
            self._bell.ring(subscription)
        return ids

    def exists(self, name: str) -> bool:
        """Whether there is a topic *name*."""
        return self._store.read(KIND, name) is not None

    def read(self, name: str) -> Any:
        """Return the topic *name*. Raises NOT_FOUND."""
        body = self._store.read(KIND, checked("topics", name))
        if body is None:
            raise missing(name)
        return _Topic.FromString(body)

    def _subscriptions(self, topic: str) -> list[str]:
        rows = self._store.execute("SELECT name FROM resources WHERE kind = ? AND parent = ?", (ATTACHMENT, topic))
        return [name for (name,) in rows]


def _completed(given: Any) -> Any:
    """Return the topic to keep, from what a caller gave."""
    checked("topics", given.name)
    for field, _ in given.ListFields():
        if field.name not in _KEPT and field.name not in {"state", "satisfies_pzs"}:
            raise unimplemented(f"{field.name} of a topic")
    check_representable(given, "topic")
    if given.HasField("message_retention_duration"):
        seconds = given.message_retention_duration.ToNanoseconds() / 1e9
        bounded("message_retention_duration", seconds, 10 * _MINUTES, 31 * _DAYS)
    topic = _Topic()
    topic.CopyFrom(given)
    topic.ClearField("satisfies_pzs")
    topic.state = pubsub.Topic.State.ACTIVE
    return topic


def _check(message: Any) -> None:
    """Raise INVALID_ARGUMENT for a message that cannot be published."""
    if not message.data and not message.attributes:
        raise invalid_argument(
            "One or more messages in the publish request is empty. Each message must contain either non-empty data,"
            " or at least one attribute."
        )
    bounded("attribute_count", len(message.attributes), 0, _MOST_ATTRIBUTES)
    for key, value in message.attributes.items():
        if not key or key.startswith("goog"):
            raise invalid_argument(f"The attribute key {key!r} must not be empty or begin with goog.")
        bounded("attribute_key_size", len(key.encode()), 1, _MOST_KEY)
        bounded("attribute_value_size", len(value.encode()), 0, _MOST_VALUE)
    bounded("ordering_key_size", len(message.ordering_key.encode()), 0, _MOST_ORDERING_KEY)
