"""Streaming pull is alike in the local room and in Google's emulator."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.api_core.exceptions import InvalidArgument, NotFound
from google.cloud.pubsub_v1.subscriber.exceptions import AcknowledgeStatus
from google.cloud.pubsub_v1.subscriber.message import Message
from google.cloud.pubsub_v1.types import FlowControl

from tests.contracts.pubsub.services import DEADLINE, Service, Stream


@contextmanager
def streaming(service: Service, subscription: str, **settings: Any) -> Iterator[Stream]:
    """Open a stream and close it."""
    stream = service.stream(subscription, **settings)
    try:
        yield stream
    finally:
        stream.close()


@contextmanager
def subscribed(service: Service, subscription: str, **flow: int) -> Iterator["queue.Queue[Message]"]:
    """Give the messages that the client's own streaming pull receives."""
    found: queue.Queue[Message] = queue.Queue()
    future = service.subscriber.subscribe(subscription, callback=found.put, flow_control=FlowControl(**flow))
    try:
        yield found
    finally:
        future.cancel()
        future.result(DEADLINE)


def test_a_subscriber_gets_each_message_once(service: Service) -> None:
    """What was there before the stream and what is published while it is open, with few at a time."""
    topic = service.topic()
    name = service.subscription(topic)
    service.publish(topic, *(f"early {number}" for number in range(150)))
    seen = []
    with subscribed(service, name, max_messages=20) as messages:
        for number in range(300):
            if number == 100:
                service.publish(topic, *(f"late {late}" for late in range(150)))
            message = messages.get(timeout=DEADLINE)
            seen.append(message.data.decode())
            message.ack()

    assert len(set(seen)) == len(seen) == 300


def test_a_nacked_message_comes_back(service: Service) -> None:
    """At once, on the same stream."""
    topic = service.topic()
    name = service.subscription(topic)
    service.publish(topic, "again")
    with subscribed(service, name) as messages:
        first = messages.get(timeout=DEADLINE)
        first.nack()
        second = messages.get(timeout=DEADLINE)
        second.ack()

    assert first.message_id == second.message_id


def test_exactly_once_acknowledgements_are_confirmed(service: Service) -> None:
    """The future of each acknowledgement ends with success."""
    topic = service.topic()
    name = service.subscription(topic, enable_exactly_once_delivery=True)
    service.publish(topic, *map(str, range(20)))
    with subscribed(service, name) as messages:
        futures = [messages.get(timeout=DEADLINE).ack_with_response() for _ in range(20)]
        ends = [future.result(DEADLINE) for future in futures]

    assert ends == [AcknowledgeStatus.SUCCESS] * 20


def test_a_stream_has_no_more_messages_out_than_it_asked_for(local_pubsub: Service) -> None:
    """The next comes when one is acknowledged over the stream; the emulator leaves that to its clients."""
    topic = local_pubsub.topic()
    name = local_pubsub.subscription(topic)
    local_pubsub.publish(topic, *map(str, range(5)))
    with streaming(local_pubsub, name, max_outstanding_messages=2) as stream:
        first = stream.receive(2)
        assert not stream.more()
        stream.send(ack_ids=[one.ack_id for one in first])
        second = stream.receive(2)
        stream.send(ack_ids=[one.ack_id for one in second])
        third = stream.receive(1)

    assert len({one.message.message_id for one in (*first, *second, *third)}) == 5


def test_a_stream_changes_deadlines(service: Service) -> None:
    """Nacked over the stream, a message comes back over it."""
    topic = service.topic()
    name = service.subscription(topic)
    service.publish(topic, "again")
    with streaming(service, name) as stream:
        (first,) = stream.receive(1)
        stream.send(modify_deadline_ack_ids=[first.ack_id], modify_deadline_seconds=[0])
        (second,) = stream.receive(1)

    assert first.message.message_id == second.message.message_id


def test_an_exactly_once_stream_says_so_and_confirms(local_pubsub: Service) -> None:
    """Its properties name the delivery, and acknowledged ids come back; the emulator confirms nothing."""
    topic = local_pubsub.topic()
    name = local_pubsub.subscription(topic, enable_exactly_once_delivery=True)
    local_pubsub.publish(topic, "one")
    with streaming(local_pubsub, name) as stream:
        while not (response := stream.response()).received_messages:
            pass
        (received,) = response.received_messages
        stream.send(ack_ids=[received.ack_id])
        while not (confirmed := stream.response().acknowledge_confirmation).ack_ids:
            pass

    assert response.subscription_properties.exactly_once_delivery_enabled
    assert list(confirmed.ack_ids) == [received.ack_id]
    assert not confirmed.invalid_ack_ids


def test_an_unusable_stream_ends_with_the_reason(service: Service) -> None:
    """No such subscription; a deadline below ten seconds; one deadline too few; an ack id that nobody gave."""
    name = service.subscription(service.topic())
    for subscription, settings, request, reason in (
        (f"{name}-not", {}, {}, NotFound),
        (name, {"stream_ack_deadline_seconds": 5}, {}, InvalidArgument),
        (name, {}, {"modify_deadline_ack_ids": ["x"]}, InvalidArgument),
        (name, {}, {"ack_ids": ["nonsense"]}, InvalidArgument),
    ):
        with streaming(service, subscription, **settings) as stream:
            stream.send(**request)
            with pytest.raises(reason):
                stream.receive(1)


def test_a_full_stream_goes_on_when_a_lease_is_over(service: Service) -> None:
    """With room for one message alone, it comes again after its deadline, over the same stream."""
    topic = service.topic()
    name = service.subscription(topic)
    service.publish(topic, "slow")
    with streaming(service, name, max_outstanding_messages=1) as stream:
        (first,) = stream.receive(1)
        stream.send(modify_deadline_ack_ids=[first.ack_id], modify_deadline_seconds=[2])
        (second,) = stream.receive(1)
        stream.send(ack_ids=[second.ack_id])

    assert first.message.message_id == second.message.message_id
    assert first.ack_id != second.ack_id
