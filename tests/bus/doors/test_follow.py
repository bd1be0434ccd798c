"""A follower sees every message once and in order, whatever happens to the server meanwhile."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from workers.bus.doors.follow import follow, follow_progress, last_sequence
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import JetStreamApi
from workers.bus.transport.publisher import Publisher
from workers.bus.transport.stored import PAGE, Stored, read_all, read_one
from workers.failures import Unavailable
from workers.local.nats import NatsServer

PATIENCE = 60.0


@pytest.fixture
async def publisher(provisioned: Connection) -> AsyncIterator[Publisher]:
    """Publish over the same connection."""
    publisher = Publisher(provisioned, timeout=PATIENCE)
    await publisher.start()
    yield publisher
    await publisher.close()


async def say(publisher: Publisher, first: int, count: int, run: str = "r") -> None:
    """Store numbered messages, one after the other."""
    for number in range(first, first + count):
        text = str(number)
        await publisher.publish(f"progress.w.{run}", text.encode(), {"ce-id": text}, message_id=run + text)


async def take(stream: AsyncIterator[Stored], count: int) -> list[int]:
    """Return the next numbers."""
    async with asyncio.timeout(PATIENCE):
        return [int((await anext(stream)).body) for _ in range(count)]


async def test_all_of_a_run_is_read_in_pages(provisioned: Connection, publisher: Publisher) -> None:
    """More messages than fit a page come in their order, with subject and headers, and no other run's."""
    await asyncio.gather(say(publisher, 0, PAGE * 2 + 10), say(publisher, 0, 50, run="other"))

    found = [stored async for stored in read_all(provisioned, "PROGRESS", subject="progress.*.r")]

    assert [int(stored.body) for stored in found] == list(range(PAGE * 2 + 10))
    assert found[3].headers == {"ce-id": "3", "Nats-Msg-Id": "r3"}
    assert await read_one(provisioned, "PROGRESS", found[3].sequence) == found[3]


async def test_message_that_is_gone_is_none(provisioned: Connection, publisher: Publisher) -> None:
    """Reading one sequence never returns its neighbour."""
    await say(publisher, 0, 3)
    await JetStreamApi(provisioned).request("STREAM.MSG.DELETE.PROGRESS", {"seq": 2})

    assert await read_one(provisioned, "PROGRESS", 2) is None
    assert await read_one(provisioned, "PROGRESS", 9) is None


async def test_follower_goes_from_what_is_there_to_what_comes(provisioned: Connection, publisher: Publisher) -> None:
    """There is no gap and no repeat between the past and the present."""
    await say(publisher, 0, 5)
    stream = follow(provisioned, "PROGRESS", "progress.>", start=3)

    assert await take(stream, 3) == [2, 3, 4]

    waiting = asyncio.create_task(take(stream, 40))
    await say(publisher, 5, 40)

    assert await waiting == list(range(5, 45))
    await stream.aclose()


async def test_follower_of_the_new_alone_leaves_the_past(provisioned: Connection, publisher: Publisher) -> None:
    """`start=None` begins with what comes next."""
    await say(publisher, 0, 5)
    stream = follow(provisioned, "PROGRESS", "progress.>", start=await last_sequence(provisioned, "PROGRESS") + 1)
    waiting = asyncio.create_task(take(stream, 1))
    await say(publisher, 5, 1)

    assert await waiting == [5]
    await stream.aclose()


async def test_follower_outlives_the_server(
    nats_server: NatsServer, provisioned: Connection, publisher: Publisher
) -> None:
    """A server that is killed and comes back costs the follower nothing."""
    stream = follow(provisioned, "PROGRESS", "progress.>")
    waiting = asyncio.create_task(take(stream, 60))
    await say(publisher, 0, 20)
    await nats_server.kill()
    storing = asyncio.create_task(say(publisher, 20, 40))
    await nats_server.start()
    await storing

    assert await waiting == list(range(60))
    await stream.aclose()


async def test_follower_notices_a_stream_made_anew(
    nats_server: NatsServer, provisioned: Connection, publisher: Publisher
) -> None:
    """Sequences that begin again at 1 are not waited past."""
    await say(publisher, 0, 5)
    stream = follow(provisioned, "PROGRESS", "progress.>")
    assert await take(stream, 5) == list(range(5))
    waiting = asyncio.create_task(take(stream, 1))
    api = JetStreamApi(provisioned)
    config = (await api.request("STREAM.INFO.PROGRESS"))["config"]
    await api.request("STREAM.DELETE.PROGRESS")
    await api.request("STREAM.CREATE.PROGRESS", config)
    await say(publisher, 7, 1, run="s")
    await nats_server.restart()

    assert await waiting == [7]
    await stream.aclose()


async def test_progress_that_cannot_be_read_is_passed_over(provisioned: Connection, publisher: Publisher) -> None:
    """One broken message does not end the following."""
    await publisher.publish("progress.w.r", b"not json")
    await publisher.publish(
        "progress.w.r",
        b'{"kind":"started","worker":"w","run":"r","event":{"type":"t","source":"s","id":"1"},"attempt":1,"n":1,'
        b'"at":"2026-11-02T09:30:00Z","from_the_future":1}',
    )

    found = [pair async for pair in follow_progress(provisioned, run="r", live=False)]

    assert [(sequence, message.kind) for sequence, message in found] == [(2, "started")]


async def test_missing_stream_is_named(connection: Connection) -> None:
    """Without streams the sentence says how to make them."""
    with pytest.raises(Unavailable, match="there is no stream PROGRESS: `sealane streams apply` makes it"):
        [stored async for stored in follow(connection, "PROGRESS", ">", live=False)]
