"""Topics and subscriptions behave alike in the local room and in Google's emulator."""

import uuid
from typing import Any

import pytest
from google.api_core.exceptions import AlreadyExists, InvalidArgument, NotFound

from tests.contracts.pubsub.services import Service

TOPICS, SUBSCRIPTIONS = "projects/demo/topics", "projects/demo/subscriptions"


def test_a_topic_is_made_found_and_deleted_once(service: Service) -> None:
    """The second creation and everything after the deletion are refused."""
    topic = service.topic()
    listed = [found.name for found in service.publisher.list_topics(project="projects/demo")]
    found = service.publisher.get_topic(topic=topic)
    with pytest.raises(AlreadyExists):
        service.publisher.create_topic(name=topic)
    service.publisher.delete_topic(topic=topic)

    assert topic in listed
    assert found.name == topic
    for gone in (service.publisher.get_topic, service.publisher.delete_topic):
        with pytest.raises(NotFound):
            gone(topic=topic)
    with pytest.raises(NotFound):
        service.publish(topic, "nobody hears")


@pytest.mark.parametrize("name", ["ab", "google-news", "1st", "with space", "a" * 256])
def test_a_name_that_breaks_the_rules_is_refused(service: Service, name: str) -> None:
    """Names have 3 to 255 characters of a small alphabet, begin with a letter and not with goog."""
    topic = service.topic()
    with pytest.raises(InvalidArgument):
        service.publisher.create_topic(name=f"{TOPICS}/{name}")
    with pytest.raises(InvalidArgument):
        service.subscriber.create_subscription(name=f"{SUBSCRIPTIONS}/{name}", topic=topic)


def test_a_subscription_gets_the_documented_defaults(service: Service) -> None:
    """Ten seconds to acknowledge, seven days of retention, no ordering, no exactly-once delivery."""
    topic = service.topic()
    name = service.subscription(topic)
    found = service.subscriber.get_subscription(subscription=name)
    with pytest.raises(AlreadyExists):
        service.subscriber.create_subscription(name=name, topic=topic)

    assert found.topic == topic
    assert found.ack_deadline_seconds == 10
    assert found.message_retention_duration.total_seconds() == 7 * 86400
    assert not found.enable_message_ordering
    assert not found.enable_exactly_once_delivery
    assert name in [one.name for one in service.subscriber.list_subscriptions(project="projects/demo")]
    assert list(service.publisher.list_topic_subscriptions(topic=topic)) == [name]


def test_a_subscription_is_deleted_with_what_it_has(service: Service) -> None:
    """Made again under the same name it is empty."""
    topic = service.topic()
    name = service.subscription(topic)
    service.publish(topic, "old")
    service.subscriber.delete_subscription(subscription=name)
    for gone in (service.subscriber.get_subscription, service.subscriber.delete_subscription):
        with pytest.raises(NotFound):
            gone(subscription=name)
    with pytest.raises(NotFound):
        service.subscriber.pull(subscription=name, max_messages=1)
    service.subscriber.create_subscription(name=name, topic=topic)
    service.publish(topic, "new")

    assert [received.message.data for received in service.pull(name, 1)] == [b"new"]


def test_a_subscription_outlives_its_topic(service: Service) -> None:
    """It keeps what it has and says that the topic is gone."""
    topic = service.topic()
    name = service.subscription(topic)
    service.publish(topic, "last words")
    service.publisher.delete_topic(topic=topic)

    assert service.subscriber.get_subscription(subscription=name).topic == "_deleted-topic_"
    assert [received.message.data for received in service.pull(name, 1)] == [b"last words"]


def test_an_update_changes_what_its_mask_names(service: Service) -> None:
    """Only that; an empty mask, an unknown field and the topic are refused."""
    name = service.subscription(service.topic())
    changed = {"name": name, "ack_deadline_seconds": 20, "message_retention_duration": {"seconds": 3600}}
    mask: dict[str, Any] = {"paths": ["ack_deadline_seconds"]}
    service.subscriber.update_subscription(request={"subscription": changed, "update_mask": mask})
    found = service.subscriber.get_subscription(subscription=name)

    assert found.ack_deadline_seconds == 20
    assert found.message_retention_duration.total_seconds() == 7 * 86400
    for paths in ([], ["nonsense"], ["topic"]):
        with pytest.raises(InvalidArgument):
            service.subscriber.update_subscription(request={"subscription": changed, "update_mask": {"paths": paths}})


@pytest.mark.parametrize(
    "settings",
    [
        {"ack_deadline_seconds": 601},
        {"message_retention_duration": {"seconds": 32 * 86400}},
        {"retry_policy": {"minimum_backoff": {"seconds": 601}}},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_out_of_bounds_are_refused(service: Service, settings: dict[str, Any]) -> None:
    """Each has its documented bounds."""
    with pytest.raises(InvalidArgument):
        service.subscription(service.topic(), **settings)


def test_what_names_nothing_is_not_found(service: Service) -> None:
    """A subscription to no topic, and calls on no subscription."""
    missing = f"s-{uuid.uuid4().hex}"
    with pytest.raises(NotFound):
        service.subscription(f"{TOPICS}/{missing}")
    with pytest.raises(NotFound):
        service.subscriber.get_subscription(subscription=f"{SUBSCRIPTIONS}/{missing}")


@pytest.mark.parametrize("messages", [[], [{}], [{"data": b"x"}, {"ordering_key": "k"}]], ids=["none", "empty", "key"])
def test_a_message_must_say_something(service: Service, messages: list[dict[str, Any]]) -> None:
    """A request without messages, or with one that has neither data nor attributes, publishes nothing."""
    topic = service.topic()
    name = service.subscription(topic)
    with pytest.raises(InvalidArgument):
        service.publish_all(topic, messages)
    service.publish(topic, "first")

    assert [received.message.data for received in service.pull(name, 1)] == [b"first"]
