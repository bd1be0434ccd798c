"""What a look at a subscription says, on the local Pub/Sub and on Google's emulator; it takes nothing."""

from collections.abc import Callable

import pytest

from tests.contracts.feeds.conftest import Place
from tests.contracts.feeds.taker import Taker
from workers.failures import Invalid, NotFound, Unavailable

Subscribed = Callable[..., tuple[str, Taker]]


async def test_a_look_names_the_topic_and_takes_nothing(place: Place, subscribed: Subscribed) -> None:
    """What waits is delivered for the first time afterwards."""
    topic, taker = subscribed()
    place.service.publish(topic, "waits")

    assert await taker.feed.look() == f"carries {topic}"
    await taker.start()
    [message] = await taker.come(1)
    assert message.data == b"waits"


async def test_a_subscription_that_is_not_there_is_named(place: Place, take_from: Callable[..., Taker]) -> None:
    """It is not looked for again and again."""
    taker = take_from(place.address, place.token, "projects/acme/subscriptions/forgotten")

    with pytest.raises(NotFound, match=r"cannot look at projects/acme/subscriptions/forgotten.*check its name"):
        await taker.feed.look()


async def test_a_subscription_that_delivers_nothing_is_wrong(place: Place, subscribed: Subscribed) -> None:
    """Its topic was deleted: nothing will ever come."""
    topic, taker = subscribed()
    place.service.publisher.delete_topic(request={"topic": topic})

    with pytest.raises(Invalid, match=r"the topic of .* was deleted"):
        await taker.feed.look()


async def test_nobody_who_answers_is_said(take_from: Callable[..., Taker], token: str) -> None:
    """A look does not wait for ever."""
    taker = take_from("127.0.0.1:1", token, "projects/acme/subscriptions/away")

    with pytest.raises(Unavailable, match="Pub/Sub"):
        await taker.feed.look()
