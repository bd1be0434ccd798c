"""A worker waits for what is missing, and refuses what is wrong, each with a sentence."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.js.api import ConsumerConfig

from tests.bus.lane import Lane, until
from workers.app.waiting import wait_for_bus
from workers.bus.rooms import wiring
from workers.bus.transport.connection import connect
from workers.bus.transport.publisher import Publisher
from workers.failures import SealaneError
from workers.local.nats import NatsServer
from workers.settings import Settings


@pytest.fixture
async def lane(tmp_path: Path) -> AsyncIterator[Lane]:
    """Run a server on which nothing was provisioned."""
    async with NatsServer(tmp_path / "nats") as server:
        connection = await connect(server.url, identity="tester", first_wait=30)
        yield Lane(server.url, connection, Publisher(connection))
        await connection.close()


async def test_what_is_missing_is_waited_for(lane: Lane, caplog: pytest.LogCaptureFixture) -> None:
    """Until somebody applies the streams; each thing it waits for is said once."""
    caplog.set_level(logging.WARNING)
    echo = wiring("echo")
    waiting = asyncio.create_task(wait_for_bus(Settings(nats=lane.url), echo))
    await until(lambda: "waiting: " in caplog.text)
    await lane.provision(echo)
    await asyncio.wait_for(waiting, 30)

    said = [line for line in caplog.messages if line.startswith("waiting: ")]
    assert len(said) == len(set(said))
    assert "EVENTS" in said[0]


async def test_a_consumer_that_would_lose_messages_is_refused(lane: Lane) -> None:
    """The worker does not begin; the sentence names the setting and what to do."""
    echo = wiring("echo")
    await lane.provision(echo)
    js = lane.connection.client.jetstream()
    config = (await js.consumer_info("EVENTS", "echo")).config
    await js.add_consumer("EVENTS", ConsumerConfig(**(vars(config) | {"max_deliver": 3})))

    with pytest.raises(SealaneError, match=r"max_deliver.*sealane streams apply"):
        await asyncio.wait_for(wait_for_bus(Settings(nats=lane.url), echo), 30)
