"""A door on a real bus, under the bus identity `gateway`, with principals that a test can be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.bus.lane import Lane, secured_lane
from tests.gateway.issuer import AUDIENCE, LocalIssuer
from workers.adapters.key_sets import fetch_key_set
from workers.bus.engine.engine import Engine, EngineOptions
from workers.bus.rooms import wiring
from workers.bus.topology.identities import read_seed
from workers.bus.transport.connection import connect
from workers.gateway.callers import hash_of
from workers.gateway.principals import Policy
from workers.gateway.server import Door
from workers.gateway.webhooks.keyring import Keyring

KEY = "slk_canary0canary0canary0canary0canary0canary"
SLOW_KEY = "slk_slow00000000000000000000000000000000000"
IMAGE = "europe-docker.pkg.dev/acme/shop/web:1.4.2"


@dataclass(slots=True)
class Answer:
    """What the door said."""

    status: int
    headers: dict[str, str]
    text: str
    json: Any


class Caller:
    """Brings events to a door."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def send(self, body: bytes | str | Any = b"", *, token: str | None = KEY, **headers: str) -> Answer:
        """POST a body to /events; in names of headers `_` is `-`."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        return await self.ask("POST", "/events", body, given)

    async def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Send a request."""
        async with self._session.request(method, f"{self.url}{path}", data=body, headers=headers) as answer:
            text = await answer.text()
            is_json = answer.content_type.endswith("json")
            found = await answer.json(content_type=None) if is_json else None
            return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, text, found)

    async def echo(self, event_id: str, message: str = "hello", *, token: str | None = KEY, **headers: str) -> Answer:
        """Bring an `echo.requested` in binary mode."""
        given = attributes(event_id) | headers
        return await self.send(f'{{"message": "{message}"}}', token=token, **given)


def attributes(event_id: str, event_type: str = "echo.requested", source: str = "/ci") -> dict[str, str]:
    """Return the headers of the binary mode."""
    given = {"specversion": "1.0", "id": event_id, "source": source, "type": event_type}
    return {f"ce_{name}": value for name, value in given.items()} | {"content_type": "application/json"}


@pytest.fixture
async def lane(tmp_path: Path) -> AsyncIterator[Lane]:
    """Give a bus with the identities and permissions of the real workers."""
    async with secured_lane(tmp_path) as found:
        yield found


@pytest.fixture
async def issuer() -> AsyncIterator[LocalIssuer]:
    """Give a local OIDC issuer."""
    async with LocalIssuer() as found:
        yield found


@pytest.fixture
def policy(issuer: LocalIssuer) -> Policy:
    """Know a key for everything, a slow one, one that owns a source, and a repository on GitHub."""
    github = {"name": "github", "kind": "github", "issuer": issuer.url, "audience": AUDIENCE}
    everything = [{"type": "echo.requested"}, {"type": "image.pushed", "where": {"image": "*/acme/shop/**"}}]
    shop = {"repository_id": "1296269", "ref": ("refs/heads/main", "refs/tags/*")}
    return Policy.model_validate(
        {
            "issuers": [github],
            "principals": [
                {"name": "ci", "api_keys": [hash_of(KEY)], "may_publish": everything, "rate": 60_000, "burst": 10_000},
                {
                    "name": "slow",
                    "api_keys": [hash_of(SLOW_KEY)],
                    "may_publish": everything,
                    "rate": 2,
                    "burst": 2,
                    "sources": ["/slow/**"],
                },
                {"name": "github/acme/shop", "issuer": "github", "claims": shop, "may_publish": everything},
            ],
        }
    )


@asynccontextmanager
async def open_door(
    lane: Lane, folder: Path, policy: Policy, *, github: Keyring | None = None
) -> AsyncIterator[Caller]:
    """Open a door and give somebody who calls."""
    connection = await connect(lane.url, identity="gateway", seed=read_seed(folder, "gateway"), first_wait=30)
    door = Door(connection, policy, fetch_key_set, github=github)
    port = await door.start(0)
    async with aiohttp.ClientSession() as session:
        yield Caller(f"http://127.0.0.1:{port}", session)
    await door.stop()
    await connection.close()


@pytest.fixture
async def caller(lane: Lane, tmp_path: Path, policy: Policy) -> AsyncIterator[Caller]:
    """Give somebody who calls at a door."""
    async with open_door(lane, tmp_path, policy) as found:
        yield found


@pytest.fixture
async def echo(lane: Lane, tmp_path: Path) -> AsyncIterator[None]:
    """Run the worker `echo` under its own identity."""
    seed = read_seed(tmp_path, "worker-echo")
    stop = asyncio.Event()
    engine = Engine(
        wiring("echo"),
        lambda: connect(lane.url, identity="worker-echo", seed=seed, first_wait=30),
        lambda _connection, _publisher: {},
        EngineOptions(grace=5.0),
    )
    running = asyncio.create_task(engine.run(stop))
    yield
    stop.set()
    await running
