"""A lane a test."""

from collections.abc import AsyncIterator

import pytest

from tests.bus.lane import Lane
from workers.bus.connection import Connection
from workers.bus.publisher import Publisher
from workers.local.nats import NatsServer


@pytest.fixture
async def lane(nats_server: NatsServer, connection: Connection) -> AsyncIterator[Lane]:
    """Give a lane on a server without permissions; provision it for the workers of the test."""
    publisher = Publisher(connection)
    await publisher.start()
    yield Lane(nats_server.url, connection, publisher)
    await publisher.close()
