"""What the tests of the commands stand on: a real nats-server with the real streams, and the command as a process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bus.lane import Lane, lane_on
from tests.commands.command import Sealane
from workers.bus.rooms import all_wirings
from workers.local.nats import NatsServer


@pytest.fixture
async def lane(tmp_path: Path) -> AsyncIterator[Lane]:
    """Run a server with all streams of all real workers, and no worker."""
    async with NatsServer(tmp_path / "nats") as server, lane_on(server.url) as lane:
        await lane.provision(*all_wirings().values())
        yield lane


@pytest.fixture
def sealane(lane: Lane, tmp_path: Path) -> Sealane:
    """Run commands against the server of the lane."""
    return Sealane(lane.url, tmp_path / "nowhere")
