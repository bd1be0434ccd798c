"""What any feed does, on the local Pub/Sub and on Google's emulator."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core.exceptions import DeadlineExceeded

from tests.contracts.feeds.conftest import Place, waiting
from tests.contracts.feeds.taker import Taker

Subscribed = Callable[..., tuple[str, Taker]]
ACK_DEADLINE = 10
"""Seconds, the least that a subscription can have."""


async def others_get(place: Place, taker: Taker, seconds: float) -> list[Any]:
    """Return what another client gets within so many seconds."""

    def pull() -> list[Any]:
        request = {"subscription": taker.feed.subscription, "max_messages": 100}
        with suppress(DeadlineExceeded):
            return list(place.service.subscriber.pull(request=request, timeout=seconds, retry=None).received_messages)
        return []

    return await asyncio.to_thread(pull)


async def test_a_message_comes_with_all_that_was_published(place: Place, subscribed: Subscribed) -> None:
    """Body, attributes, id and time are Pub/Sub's own."""
    topic, taker = subscribed()
    before = datetime.now(UTC) - timedelta(minutes=1)
    body = b'{"action":"INSERT"}\xff\x00'
    [name] = place.service.publish_all(topic, [{"data": body, "attributes": {"eventType": "x", "größe": "✓"}}])

    await taker.start()
    [message] = await taker.come(1)

    assert (message.data, message.message_id, message.ordering_key, message.attempt) == (body, name, "", None)
    assert dict(message.attributes) == {"eventType": "x", "größe": "✓"}
    assert before < message.published_at < datetime.now(UTC) + timedelta(minutes=1)
    assert "missing" not in message.attributes
    assert taker.feed.problem is None


async def test_what_is_acknowledged_is_gone_and_what_is_not_comes_back(place: Place, subscribed: Subscribed) -> None:
    """Closing sends the last acknowledgements; the rest goes back to Pub/Sub."""
    topic, taker = subscribed()
    place.service.publish(topic, "done", "open")
    await taker.start()
    for message in await taker.come(2):
        if message.data == b"done":
            message.ack()
            message.ack()
    await taker.feed.close()

    again = await asyncio.to_thread(place.service.pull, taker.feed.subscription, 1)
    assert [message.message.data for message in again] == [b"open"]
    assert await waiting(place, taker) == []


async def test_what_is_handed_back_comes_again(place: Place, subscribed: Subscribed) -> None:
    """A nack is another delivery of the same message, at once."""
    topic, taker = subscribed()
    place.service.publish(topic, "again")
    await taker.start()
    [first] = await taker.come(1)
    first.nack()
    _, second = await taker.come(2)

    assert second.message_id == first.message_id
    second.ack()


async def test_a_message_held_longer_than_its_lease_is_not_delivered_again(
    place: Place, subscribed: Subscribed
) -> None:
    """The lease is renewed as long as the message is not answered, also after the feed was stopped."""
    takers = []
    for _ in range(2):
        topic, taker = subscribed(ack_deadline_seconds=ACK_DEADLINE)
        place.service.publish(topic, "long")
        await taker.start()
        await taker.come(1)
        takers.append(taker)
    await takers[1].feed.stop()

    assert await asyncio.gather(*(others_get(place, taker, 1.4 * ACK_DEADLINE) for taker in takers)) == [[], []]
    for taker in takers:
        assert taker.texts == ["long"]
        taker.taken[0].ack()
        await taker.feed.close()
        assert await waiting(place, taker) == []


async def test_no_more_is_held_than_is_allowed(place: Place, subscribed: Subscribed) -> None:
    """The rest stays in Pub/Sub until something is answered."""
    topic, taker = subscribed(most=10)
    place.service.publish(topic, *(f"m{number}" for number in range(50)))
    await taker.start()
    await taker.come(10)
    await asyncio.to_thread(place.service.publish, topic, "one more")  # a round trip in which more could come
    assert len(taker.taken) == 10

    answered = 0
    while answered < 51:
        await taker.come(answered + 1)
        assert len(taker.taken) - answered <= 10
        taker.taken[answered].ack()
        answered += 1
    assert sorted(taker.texts) == sorted([*(f"m{number}" for number in range(50)), "one more"])


async def test_messages_of_one_ordering_key_come_in_order(place: Place, subscribed: Subscribed) -> None:
    """The next one comes when the one before is answered."""
    topic, taker = subscribed(ordered=True)
    taker.acks = True
    texts = [f"m{number}" for number in range(30)]
    place.service.publish(topic, *texts, ordering_key="k")
    await taker.start()
    await taker.come(30)

    assert list(dict.fromkeys(taker.texts)) == texts
    assert {message.ordering_key for message in taker.taken} == {"k"}


async def test_exactly_once_subscriptions_confirm_their_acknowledgements(place: Place, subscribed: Subscribed) -> None:
    """Closing waits for the confirmations; nothing comes a second time."""
    topic, taker = subscribed(enable_exactly_once_delivery=True)
    taker.acks = True
    place.service.publish(topic, *(f"m{number}" for number in range(30)))
    await taker.start()
    await taker.come(30)
    await taker.feed.close()

    assert sorted(taker.texts) == sorted(f"m{number}" for number in range(30))
    assert await waiting(place, taker) == []


async def test_deliveries_are_counted_where_the_subscription_does(place: Place, subscribed: Subscribed) -> None:
    """A subscription with a dead letter policy says which delivery it is."""
    policy = {"dead_letter_topic": place.service.topic(), "max_delivery_attempts": 5}
    topic, taker = subscribed(dead_letter_policy=policy)
    place.service.publish(topic, "again")
    await taker.start()
    (await taker.come(1))[0].nack()
    first, second = await taker.come(2)

    assert (first.attempt, second.attempt) == (1, 2)
    second.ack()


async def test_a_subscription_that_is_not_there_is_a_problem_until_it_is(
    place: Place, take_from: Callable[..., Taker]
) -> None:
    """The feed says so, tries again, and goes on when the subscription was made."""
    topic = place.service.topic()
    name = topic.replace("/topics/", "/subscriptions/")
    taker = take_from(place.address, place.token, name)
    taker.acks = True
    await taker.start()
    problem = await taker.has_problem("does not exist")
    assert name in problem

    place.service.subscriber.create_subscription(request={"name": name, "topic": topic})
    place.service.publish(topic, "here")
    await taker.come(1)
    await taker.has_no_problem()


async def test_a_subscription_that_is_deleted_is_a_problem(place: Place, subscribed: Subscribed) -> None:
    """What is held then can still be answered, without an effect and without an error."""
    topic, taker = subscribed()
    place.service.publish(topic, "held")
    await taker.start()
    [message] = await taker.come(1)
    place.service.subscriber.delete_subscription(request={"subscription": taker.feed.subscription})
    await taker.has_problem("does not exist")
    message.ack()
    await taker.feed.stop()
    assert taker.feed.problem is None


async def test_what_is_held_from_an_earlier_stream_takes_up_places(place: Place, subscribed: Subscribed) -> None:
    """After the stream has ended no more is held than is allowed, the old and the new together."""
    topic, taker = subscribed(most=4)
    place.service.publish(topic, *(f"old{number}" for number in range(4)))
    await taker.start()
    await taker.come(4)
    request = {"subscription": taker.feed.subscription}
    place.service.subscriber.delete_subscription(request=request)
    await taker.has_problem("does not exist")
    place.service.subscriber.create_subscription(request={"name": taker.feed.subscription, "topic": topic})
    place.service.publish(topic, *(f"new{number}" for number in range(10)))

    for number in range(14):
        await taker.come(max(4, number + 1))
        assert len(taker.taken) - number <= 4
        taker.taken[number].ack()
    assert sorted(taker.texts[4:]) == sorted(f"new{number}" for number in range(10))


async def test_a_taker_that_fails_gets_the_message_again(
    place: Place, subscribed: Subscribed, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of whoever takes messages hands the message back and ends nothing."""
    topic, taker = subscribed()
    place.service.publish(topic, "twice")
    tries: list[str] = []

    def fail_once(message: Any) -> None:
        tries.append(message.message_id)
        if len(tries) == 1:
            raise LookupError("once")
        taker.take(message)

    await taker.feed.start(fail_once)
    [message] = await taker.come(1)
    message.ack()
    assert len(set(tries)) == 1
    assert "handed back" in caplog.text
