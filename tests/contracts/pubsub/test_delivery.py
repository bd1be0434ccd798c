"""Pulling, leases and redelivery are alike in the local room and in Google's emulator."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.api_core.exceptions import GoogleAPICallError, InvalidArgument

from tests.contracts.pubsub.services import DEADLINE, Service

LOST = "PERMANENT_FAILURE_INVALID_ACK_ID"


def texts(received: list[Any]) -> list[str]:
    """Return what the messages say."""
    return [one.message.data.decode() for one in received]


def failures(error: GoogleAPICallError) -> dict[str, str]:
    """Return what the error says of each ack id."""
    (info,) = [detail for detail in error.details if hasattr(detail, "metadata")]
    assert info.reason == "EXACTLY_ONCE_ACKID_FAILURE"
    return dict(info.metadata)


def test_every_subscription_gets_every_message_as_it_was_published(service: Service) -> None:
    """Data, attributes and ordering key arrive, with the id that the publisher was told, and a time."""
    topic = service.topic()
    names = [service.subscription(topic), service.subscription(topic)]
    message = {"data": b"\x00\xff", "attributes": {"kind": "image"}, "ordering_key": "a"}
    (message_id,) = service.publish_all(topic, [message])

    for name in names:
        (received,) = service.pull(name, 1)
        assert received.ack_id
        assert received.message.message_id == message_id
        assert received.message.data == b"\x00\xff"
        assert dict(received.message.attributes) == {"kind": "image"}
        assert received.message.ordering_key == "a"
        assert abs(received.message.publish_time.timestamp() - time.time()) < 600
        assert received.delivery_attempt == 0


def test_what_is_acknowledged_does_not_come_again(service: Service) -> None:
    """What is nacked does, and at once."""
    topic = service.topic()
    name = service.subscription(topic, ack_deadline_seconds=600)
    ids = service.publish(topic, "done", "again")
    received = {one.message.data: one.ack_id for one in service.pull(name, 2)}
    service.subscriber.acknowledge(subscription=name, ack_ids=[received[b"done"]])
    service.subscriber.modify_ack_deadline(subscription=name, ack_ids=[received[b"again"]], ack_deadline_seconds=0)
    (second,) = service.pull(name, 1)
    service.publish(topic, "next")

    assert len(set(ids)) == 2
    assert second.message.data == b"again"
    assert second.message.message_id == ids[1]
    assert texts(service.pull(name, 1)) == ["next"]


def test_a_message_comes_again_when_its_deadline_is_over(service: Service) -> None:
    """Not before: until then it is leased to whoever has it."""
    topic = service.topic()
    name = service.subscription(topic, ack_deadline_seconds=600)
    service.publish(topic, "slow")
    (first,) = service.pull(name, 1)
    meanwhile = service.waiting(name)
    began = time.monotonic()
    service.subscriber.modify_ack_deadline(subscription=name, ack_ids=[first.ack_id], ack_deadline_seconds=2)
    (second,) = service.pull(name, 1)

    assert not meanwhile
    assert time.monotonic() - began > 1
    assert second.message.message_id == first.message.message_id
    service.subscriber.acknowledge(subscription=name, ack_ids=[second.ack_id])


def test_a_pull_waits_for_what_comes(service: Service) -> None:
    """A pull that finds nothing is answered when something is published."""
    topic = service.topic()
    name = service.subscription(topic)
    with ThreadPoolExecutor(1) as other:
        pulled = other.submit(service.pull, name, 1)
        with pytest.raises(TimeoutError):
            pulled.result(1)
        service.publish(topic, "soon")

        assert texts(pulled.result(DEADLINE)) == ["soon"]


def test_deliveries_are_counted_and_end_in_the_dead_letter_topic(service: Service) -> None:
    """After the fifth the message is moved, and says where it came from."""
    grave, topic = service.topic(), service.topic()
    graveyard = service.subscription(grave)
    policy = {"dead_letter_topic": grave, "max_delivery_attempts": 5}
    name = service.subscription(topic, dead_letter_policy=policy, ack_deadline_seconds=600)
    service.publish(topic, "poison")
    attempts = []
    for _ in range(5):
        (received,) = service.pull(name, 1)
        attempts.append(received.delivery_attempt)
        nack = {"subscription": name, "ack_ids": [received.ack_id], "ack_deadline_seconds": 0}
        service.subscriber.modify_ack_deadline(request=nack)
    left = service.waiting(name)
    (buried,) = service.pull(graveyard, 1)

    assert attempts == [1, 2, 3, 4, 5]
    assert not left
    assert buried.message.data == b"poison"
    assert buried.message.attributes["CloudPubSubDeadLetterSourceSubscription"] == name.rsplit("/", 1)[1]
    assert buried.message.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"


def test_exactly_once_delivery_refuses_a_second_acknowledgement(service: Service) -> None:
    """The error names the ack id and that retrying is useless; the good ones beside it are settled."""
    topic = service.topic()
    name = service.subscription(topic, enable_exactly_once_delivery=True, ack_deadline_seconds=600)
    service.publish(topic, "one", "two")
    first, second = service.pull(name, 2)
    service.subscriber.acknowledge(subscription=name, ack_ids=[first.ack_id])
    with pytest.raises(GoogleAPICallError) as refused:
        service.subscriber.acknowledge(subscription=name, ack_ids=[first.ack_id, second.ack_id], retry=None)
    with pytest.raises(GoogleAPICallError) as again:
        service.subscriber.acknowledge(subscription=name, ack_ids=[second.ack_id], retry=None)

    assert failures(refused.value) == {first.ack_id: LOST}
    assert failures(again.value) == {second.ack_id: LOST}


def test_exactly_once_delivery_refuses_what_came_too_late(service: Service) -> None:
    """After the deadline neither an acknowledgement nor more time is granted, and the message comes again."""
    topic = service.topic()
    name = service.subscription(topic, enable_exactly_once_delivery=True, ack_deadline_seconds=600)
    service.publish(topic, "late")
    (first,) = service.pull(name, 1)
    service.subscriber.modify_ack_deadline(subscription=name, ack_ids=[first.ack_id], ack_deadline_seconds=1)
    (second,) = service.pull(name, 1)
    late = {"subscription": name, "ack_ids": [first.ack_id]}
    with pytest.raises(GoogleAPICallError) as acknowledged:
        service.subscriber.acknowledge(request=late, retry=None)
    with pytest.raises(GoogleAPICallError) as extended:
        service.subscriber.modify_ack_deadline(request=late | {"ack_deadline_seconds": 60}, retry=None)
    service.subscriber.acknowledge(subscription=name, ack_ids=[second.ack_id])

    assert failures(acknowledged.value) == {first.ack_id: LOST}
    assert failures(extended.value) == {first.ack_id: LOST}


def test_without_it_a_second_acknowledgement_is_no_error(service: Service) -> None:
    """Acknowledging what is gone changes nothing."""
    topic = service.topic()
    name = service.subscription(topic)
    service.publish(topic, "one")
    (received,) = service.pull(name, 1)
    for _ in range(2):
        service.subscriber.acknowledge(subscription=name, ack_ids=[received.ack_id])


def test_an_ack_id_that_nobody_gave_is_refused(service: Service) -> None:
    """None at all, nonsense, and one of another subscription."""
    topic = service.topic()
    name, other = service.subscription(topic), service.subscription(topic)
    service.publish(topic, "one")
    (foreign,) = service.pull(other, 1)
    for ack_ids in ([], ["nonsense"], [foreign.ack_id]):
        with pytest.raises(InvalidArgument):
            service.subscriber.acknowledge(subscription=name, ack_ids=ack_ids)
    with pytest.raises(InvalidArgument):
        service.subscriber.pull(subscription=name, max_messages=0)


def test_messages_of_one_ordering_key_come_in_order(service: Service) -> None:
    """One after the other, each when the one before is acknowledged."""
    topic = service.topic()
    name = service.subscription(topic, enable_message_ordering=True, ack_deadline_seconds=600)
    service.publish(topic, "1", "2", "3", ordering_key="image")

    assert texts(one_by_one(service, name, 3)) == ["1", "2", "3"]


def test_a_nack_takes_the_whole_ordering_key_back(local_pubsub: Service) -> None:
    """The first comes again before the others; the emulator goes on with the second."""
    topic = local_pubsub.topic()
    name = local_pubsub.subscription(topic, enable_message_ordering=True, ack_deadline_seconds=600)
    local_pubsub.publish(topic, "1", "2", "3", ordering_key="image")
    local_pubsub.publish(topic, "other", ordering_key="index")
    (first,) = local_pubsub.pull(name, 1)
    other = local_pubsub.waiting(name)
    nack = {"subscription": name, "ack_ids": [first.ack_id], "ack_deadline_seconds": 0}
    local_pubsub.subscriber.modify_ack_deadline(request=nack)

    assert texts([first, *other]) == ["1", "other"]
    assert texts(one_by_one(local_pubsub, name, 3)) == ["1", "2", "3"]


def one_by_one(service: Service, name: str, count: int) -> list[Any]:
    """Pull and acknowledge one message at a time."""
    order = []
    for _ in range(count):
        (received,) = service.pull(name, 1)
        order.append(received)
        service.subscriber.acknowledge(subscription=name, ack_ids=[received.ack_id])
    return order
