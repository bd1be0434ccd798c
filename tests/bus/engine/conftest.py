"""A lane a test."""

from collections.abc import AsyncIterator

import pytest

from tests.bus.lane import Lane, lane_on
from workers.local.nats import NatsServer


@pytest.fixture
async def lane(nats_server: NatsServer) -> AsyncIterator[Lane]:
    """Give a lane on a server without permissions; provision it for the workers of the test."""
    async with lane_on(nats_server.url) as lane:
        yield lane
