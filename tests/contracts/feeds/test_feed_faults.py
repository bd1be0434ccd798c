"""What a feed does when the service dies, is away, or its connection falls silent."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contracts.feeds.conftest import Place
from tests.contracts.feeds.proxy import proxy
from tests.contracts.feeds.taker import Taker
from tests.contracts.pubsub.services import TOKEN, Bearer, Emulator, Service, clients
from workers.local.google import GoogleServices

TakeFrom = Callable[..., Taker]
NAMES = ("projects/demo/topics/crossing", "projects/demo/subscriptions/crossing")


def publish(address: str, *texts: str) -> None:
    """Publish to the topic of these tests, which is made with its subscription if it is not there."""

    def prepared(service: Service) -> None:
        topic, subscription = NAMES
        if topic not in {found.name for found in service.publisher.list_topics(request={"project": "projects/demo"})}:
            service.publisher.create_topic(request={"name": topic})
            service.subscriber.create_subscription(request={"name": subscription, "topic": topic})
        service.publish(topic, *texts)

    with clients(address, Bearer()) as service:
        prepared(service)


def left(address: str) -> int:
    """Return how many messages somebody could get now."""
    with clients(address, Bearer()) as service:
        return len(service.waiting(NAMES[1]))


async def test_a_local_service_that_was_restarted_goes_on_where_it_was(
    tmp_path: Path, token: str, take_from: TakeFrom
) -> None:
    """While it is away the feed says so; what is acknowledged meanwhile and afterwards is gone for good."""
    services = GoogleServices(tmp_path / "google", token=TOKEN)
    await services.start()
    port = services.grpc_port
    address = f"127.0.0.1:{port}"
    try:
        await asyncio.to_thread(publish, address, "one", "two")
        taker = take_from(address, token, NAMES[1])
        await taker.start()
        one, two, *_ = await taker.come(2)

        await services.stop()
        problem = await taker.has_problem("no connection")
        assert NAMES[1] in problem
        one.ack()

        await services.start(grpc_port=port)
        await asyncio.to_thread(publish, address, "three")
        await taker.until(lambda: "three" in taker.texts, "what was published after the restart should come")
        await taker.has_no_problem()
        two.ack()
        for message in taker.taken[2:]:
            message.ack()
        await taker.feed.close()
        assert await asyncio.to_thread(left, address) == 0
    finally:
        await services.stop()


@pytest.mark.gcloud
async def test_an_emulator_killed_and_started_again_is_pulled_from_again(tmp_path: Path, take_from: TakeFrom) -> None:
    """Its subscription is gone with it, which the feed says; it goes on when somebody has made it anew."""
    emulator = Emulator(tmp_path / "emulator.log")
    emulator.start()
    try:
        await asyncio.to_thread(publish, emulator.address, "before")
        taker = take_from(emulator.address, None, NAMES[1])
        await taker.start()
        [before] = await taker.come(1)

        await asyncio.to_thread(emulator.kill)
        await taker.has_problem("no connection")
        before.ack()
        taker.acks = True
        emulator.start()
        await taker.has_problem("does not exist")
        await asyncio.to_thread(publish, emulator.address, "after")

        await taker.until(lambda: "after" in taker.texts, "what was published after the restart should come")
        await taker.has_no_problem()
        await taker.feed.close()
    finally:
        emulator.stop()


async def test_a_connection_that_swallows_everything_is_replaced(place: Place, take_from: TakeFrom) -> None:
    """No end and no error comes; the missing sign of life ends the connection, and another one delivers."""
    topic = place.service.topic()
    subscription = place.service.subscription(topic)
    async with proxy(place.address) as way:
        # More often, and the emulator would end the connection for asking too much.
        taker = take_from(way.address, place.token, subscription, keepalive=10.0)
        taker.acks = True
        await taker.start()
        place.service.publish(topic, "before")
        await taker.come(1)

        way.silence()
        place.service.publish(topic, "after")
        await taker.until(lambda: "after" in taker.texts, "what was published into the silence should come")
        await taker.feed.close()


async def test_closing_does_not_wait_for_a_connection_that_is_silent(place: Place, take_from: TakeFrom) -> None:
    """The last acknowledgements get their time, not more; without them the message comes again."""
    topic = place.service.topic()
    subscription = place.service.subscription(topic)
    async with proxy(place.address) as way:
        taker = take_from(way.address, place.token, subscription)
        await taker.start()
        place.service.publish(topic, "held")
        [held] = await taker.come(1)
        way.silence(for_good=True)
        held.ack()
        async with asyncio.timeout(30):
            await taker.feed.close()

    again = take_from(place.address, place.token, subscription)
    again.acks = True
    await again.start()
    await again.come(1)


async def test_a_token_that_is_refused_is_a_problem(local_place: Place, tmp_path: Path, take_from: TakeFrom) -> None:
    """Credentials that are not accepted are said, without the token, and tried again: it is read anew each time."""
    topic = local_place.service.topic()
    subscription = local_place.service.subscription(topic)
    file = tmp_path / "token"
    file.write_text("canary-wrong")
    file.chmod(0o600)
    taker = take_from(local_place.address, f"file://{file}", subscription)
    taker.acks = True
    await taker.start()
    problem = await taker.has_problem("credentials")
    assert "canary" not in problem

    file.write_text(TOKEN)
    local_place.service.publish(topic, "let in")
    await taker.come(1)
    await taker.has_no_problem()


async def test_a_service_that_is_not_there_is_a_problem(take_from: TakeFrom, unused_tcp_port: int) -> None:
    """A feed starts without its service, and stops without it."""
    taker = take_from(f"127.0.0.1:{unused_tcp_port}", None, NAMES[1])
    await taker.start()
    await taker.has_problem("no connection")
    with pytest.raises(RuntimeError, match="already"):
        await taker.start()
    async with asyncio.timeout(30):
        await taker.feed.close()
