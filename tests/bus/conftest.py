"""What the tests of the bus stand on: a real nats-server each, connections, streams, permissions."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.echoes import EchoAnswered, EchoRequested
from schemas.images import ImageAttested, ImagePushed
from workers.bus.topology.identities import ensure_identities, read_seed
from workers.bus.topology.permissions import derive, render
from workers.bus.topology.provision import apply
from workers.bus.topology.streams import topology
from workers.bus.transport.connection import Connection, connect
from workers.bus.wiring import Handler, Wiring, wire
from workers.card import Card
from workers.local.nats import NatsServer
from workers.ports import Claims, Progress
from workers.retention import Retention


async def _probe(event: EchoRequested, progress: Progress) -> EchoAnswered:
    """Answer at once."""
    return EchoAnswered(message=event.message)


async def _sign(event: ImagePushed, claims: Claims) -> ImageAttested | None:
    """Only its signature matters: it consumes, emits, and holds claims."""


async def _sweep() -> None:
    """Only its card matters: it is woken by a clock."""


@pytest.fixture
def wirings() -> dict[str, Wiring]:
    """Return the workers that the server is provisioned for; a test module may override it."""
    cards: dict[str, tuple[Card, Handler]] = {
        "probe": (Card("probe", "Answers.", ack_wait=timedelta(seconds=5)), _probe),
        "sign": (Card("sign", "Signs."), _sign),
        "sweep": (Card("sweep", "Is woken.", tick="@every 1h"), _sweep),
    }
    return {name: wire(card, handler) for name, (card, handler) in cards.items()}


@pytest.fixture
def retention() -> Retention:
    """Return sizes for small disks."""
    return Retention(events_bytes=64 * 1024**2, progress_bytes=64 * 1024**2, dead_bytes=64 * 1024**2)


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Run a server where everybody may do everything."""
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def connection(nats_server: NatsServer) -> AsyncIterator[Connection]:
    """Connect to the server without permissions, as `tester`."""
    connection = await connect(nats_server.url, identity="tester", first_wait=30)
    yield connection
    await connection.close()


@pytest.fixture
async def provisioned(connection: Connection, wirings: Mapping[str, Wiring], retention: Retention) -> Connection:
    """Return a connection to a server that has all streams and consumers of `wirings`, and no permissions."""
    await apply(connection, topology(wirings.values(), retention))
    return connection


ConnectAs = Callable[[str], Awaitable[Connection]]


@pytest.fixture
async def secured_server(
    tmp_path: Path, wirings: Mapping[str, Wiring], retention: Retention
) -> AsyncIterator[NatsServer]:
    """Run a server with the permissions derived from `wirings`, provisioned by the provisioner."""
    permissions = derive(wirings.values())
    keys = ensure_identities(tmp_path, permissions)
    async with NatsServer(tmp_path / "secured", authorization=render(permissions, keys)) as server:
        seed = read_seed(tmp_path, "provisioner")
        provisioner = await connect(server.url, identity="provisioner", seed=seed, first_wait=30)
        await apply(provisioner, topology(wirings.values(), retention))
        await provisioner.close()
        yield server


@pytest.fixture
async def connect_as(secured_server: NatsServer, tmp_path: Path) -> AsyncIterator[ConnectAs]:
    """Return a function which connects to the secured server as `worker-probe`, `operator`, … for this test."""
    opened: list[Connection] = []

    async def connect_as(identity: str) -> Connection:
        seed = read_seed(tmp_path, identity)
        opened.append(await connect(secured_server.url, identity=identity, seed=seed, first_wait=30))
        return opened[-1]

    yield connect_as
    for connection in opened:
        await connection.close()
