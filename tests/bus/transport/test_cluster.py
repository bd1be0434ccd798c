"""Three servers, three copies: what is declared, applied and claimed there, and when one of them is lost."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from workers.bus.claims.claims import NatsClaims
from workers.bus.topology.provision import apply
from workers.bus.topology.streams import topology
from workers.bus.transport.connection import Connection, connect
from workers.bus.transport.jetstream import ApiError, JetStreamApi
from workers.bus.transport.publisher import Publisher
from workers.bus.wiring import Wiring
from workers.failures import Unavailable
from workers.local.nats import NatsServer
from workers.ports import Json, Lease
from workers.retention import Retention

T = TypeVar("T")


def _free_ports(count: int) -> list[int]:
    """Find ports that are free, all at the same time."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[list[NatsServer]]:
    """Run a cluster of three."""
    ports = _free_ports(3)
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                NatsServer(
                    tmp_path / f"n{number}",
                    name=f"n{number}",
                    cluster=f'cluster {{ name: "c", listen: "127.0.0.1:{port}", routes: [{routes}] }}',
                )
            )
            for number, port in enumerate(ports)
        ]


@pytest.fixture
async def clustered(servers: list[NatsServer]) -> AsyncIterator[Connection]:
    """Connect to whichever server is there."""
    connection = await connect(",".join(server.url for server in servers), identity="tester", first_wait=30)
    yield connection
    await connection.close()


async def _once_led(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the cluster has elected its leaders."""
    deadline = time.monotonic() + 90
    while True:
        try:
            return await ask()
        except (Unavailable, ApiError):
            assert time.monotonic() < deadline, "the cluster elected no leader"
            await asyncio.sleep(0.2)


async def test_three_copies_survive_the_loss_of_a_server(
    servers: list[NatsServer], clustered: Connection, wirings: Mapping[str, Wiring], retention: Retention
) -> None:
    """All is applied in three copies, claims have one owner there too, and a killed server takes nothing with it."""
    small = retention.model_copy(update={"claims_bytes": 64 * 1024**2})
    wanted = topology(wirings.values(), small.model_copy(update={"replicas": 3}))
    await _once_led(lambda: JetStreamApi(clustered, patience=0.5).request("STREAM.NAMES"))
    await _once_led(lambda: apply(clustered, wanted))
    publisher = Publisher(clustered)
    await publisher.start()
    claims = NatsClaims(clustered, publisher, "sign", lease=timedelta(seconds=60), owner="one")
    worked: list[int] = []

    async def work(lease: Lease) -> Json:
        worked.append(lease.attempt)
        return {"kept": True}

    assert await apply(clustered, wanted) == []
    assert await asyncio.gather(*(claims.once("key", work) for _ in range(200))) == [{"kept": True}] * 200
    await servers[0].kill()
    assert await _once_led(lambda: claims.once("key", work)) == {"kept": True}
    await publisher.close()

    assert worked == [1]
    refused = await _once_led(lambda: apply(clustered, topology(wirings.values(), small)))
    assert {(outcome.drift.field, outcome.word) for outcome in refused} == {("num_replicas", "refused")}
