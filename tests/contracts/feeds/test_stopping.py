"""A feed that is stopped, on the local Pub/Sub and on Google's emulator, which takes half a minute to notice."""

from collections.abc import Callable

from tests.contracts.feeds.conftest import Place, waiting
from tests.contracts.feeds.taker import Taker

Subscribed = Callable[..., tuple[str, Taker]]


async def test_stopping_gives_back_what_nobody_got(
    place: Place, subscribed: Subscribed, take_from: Callable[..., Taker]
) -> None:
    """After the stop nothing is handed over; what was taken is still ours to answer, and another one gets the rest."""
    topic, taker = subscribed(most=5)
    published = [f"m{number}" for number in range(20)]
    place.service.publish(topic, *published)
    await taker.start()
    await taker.come(5)
    await taker.feed.stop()
    ours = set(taker.texts)
    for message in taker.taken:
        message.ack()

    other = take_from(place.address, place.token, taker.feed.subscription)
    other.acks = True
    await other.start()
    await other.until(lambda: set(published) - ours <= set(other.texts), "the rest should come")
    await taker.feed.close()
    await other.feed.close()

    assert set(taker.texts) == ours
    assert ours.isdisjoint(other.texts)
    assert await waiting(place, taker) == []


async def test_a_stopped_feed_can_be_started_again(place: Place, subscribed: Subscribed) -> None:
    """The line stops a feed and lets it go on."""
    topic, taker = subscribed()
    taker.acks = True
    await taker.start()
    place.service.publish(topic, "before")
    await taker.come(1)
    await taker.feed.stop()

    await taker.start()
    place.service.publish(topic, "after")
    await taker.come(2)
    assert taker.texts == ["before", "after"]
