"""The local Google services, running, with the real client libraries in front of them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc.aio
import pytest

from tests.local.google.clients import TOKEN, BearerToken, Clients, grpc_clients, rest_clients
from workers.local.google import GoogleServices


@pytest.fixture
async def google(tmp_path: Path) -> AsyncIterator[GoogleServices]:
    """Run the services on free ports with their own token."""
    async with GoogleServices(tmp_path / "google", token=TOKEN) as services:
        yield services


@pytest.fixture
async def over_grpc(google: GoogleServices) -> AsyncIterator[Clients]:
    """Give clients over gRPC."""
    target = f"127.0.0.1:{google.grpc_port}"
    async with grpc.aio.insecure_channel(target, interceptors=[BearerToken(TOKEN)]) as channel:
        yield grpc_clients(channel)


@pytest.fixture
def over_rest(google: GoogleServices) -> Iterator[Clients]:
    """Give clients over REST."""
    clients = rest_clients(google.rest_port)
    yield clients
    for caller in vars(clients).values():
        caller.client.transport.close()


@pytest.fixture(params=["grpc", "rest"])
def clients(request: pytest.FixtureRequest) -> Clients:
    """Give clients over each transport in turn."""
    found: Clients = request.getfixturevalue(f"over_{request.param}")
    return found
