"""A door for webhooks on a real bus, under the bus identity `gateway`, and GitHub in front of it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.bus.lane import Lane
from tests.gateway.webhooks.deliveries import SECRET, headers
from workers.adapters.key_sets import fetch_key_set
from workers.bus.topology.identities import read_seed
from workers.bus.transport.connection import connect
from workers.failures import NotFound
from workers.gateway.principals import Policy
from workers.gateway.server import Door
from workers.gateway.webhooks.keyring import Keyring

Sent = list[tuple[str, str]]
"""Headers of which one may be sent twice."""


@dataclass(slots=True)
class Answer:
    """What the door said."""

    status: int
    headers: dict[str, str]
    text: str
    json: Any


class Secrets:
    """The webhook's secrets as somebody keeps them, and the clock of the door that reads them."""

    def __init__(self) -> None:
        self.values = {"env://ONE": SECRET}
        self.now = 0.0

    async def read(self, reference: str) -> str:
        """Return a secret."""
        if reference not in self.values:
            raise NotFound(f"the secret {reference} is not there")
        return self.values[reference]

    def keyring(self) -> Keyring:
        """Return a keyring for two of them."""
        return Keyring(("env://ONE", "env://TWO"), self.read, clock=lambda: self.now)


class Github:
    """Delivers to a door."""

    def __init__(self, url: str, session: aiohttp.ClientSession, door: Door) -> None:
        self.url = url
        self.door = door
        self._session = session

    async def deliver(self, body: bytes, event: str = "push", delivery: str = "d-1", **secret: str) -> Answer:
        """Send a delivery as GitHub does."""
        return await self.post(body, headers(body, event, delivery, **secret))

    async def post(self, body: bytes | AsyncIterator[bytes], sent: Mapping[str, str] | Sent) -> Answer:
        """Send a body with these headers."""
        data = BytesIO(body) if isinstance(body, bytes) else body
        async with self._session.post(f"{self.url}/webhooks/github", data=data, headers=sent) as answer:
            text = await answer.text()
            found = await answer.json(content_type=None) if answer.content_type.endswith("json") else None
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, text, found)


@asynccontextmanager
async def open_webhooks(lane: Lane, folder: Path, keyring: Keyring) -> AsyncIterator[Github]:
    """Open a door that nobody but GitHub may use."""
    connection = await connect(lane.url, identity="gateway", seed=read_seed(folder, "gateway"), first_wait=30)
    door = Door(connection, Policy(), fetch_key_set, github=keyring)
    port = await door.start(0)
    async with aiohttp.ClientSession() as session:
        yield Github(f"http://127.0.0.1:{port}", session, door)
    await door.stop()
    await connection.close()


@pytest.fixture
def secrets() -> Secrets:
    """Give the webhook's secrets."""
    return Secrets()


@pytest.fixture
async def github(lane: Lane, tmp_path: Path, secrets: Secrets) -> AsyncIterator[Github]:
    """Give GitHub in front of a door."""
    async with open_webhooks(lane, tmp_path, secrets.keyring()) as found:
        yield found
