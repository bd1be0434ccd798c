"""The feed in front of two services: our local room, and Google's emulator, which takes seconds to start."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contracts.feeds.taker import Taker
from tests.contracts.pubsub.services import TOKEN, Bearer, Service, clients, emulator, local
from workers.adapters.google.pubsub import Patience, PubSubFeed
from workers.adapters.google.pubsub_connection import PubSubConnection

QUICK = Patience(first=0.2, longest=1.0, proven=1.0, closing=4.0)


@dataclass(frozen=True)
class Place:
    """A running service: where it is, how one gets in, and Google's own clients of it."""

    address: str
    token: str | None
    service: Service


async def waiting(place: Place, taker: Taker) -> list[str]:
    """Return what another client gets now, handing it back."""
    found = await asyncio.to_thread(place.service.waiting, taker.feed.subscription)
    return [message.message.data.decode() for message in found]


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the reference of the local token."""
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(TOKEN)
    file.chmod(0o600)
    return f"file://{file}"


@pytest.fixture(scope="session")
def local_place(tmp_path_factory: pytest.TempPathFactory, token: str) -> Iterator[Place]:
    """Give our room."""
    with local(tmp_path_factory.mktemp("pubsub")) as services:
        address = f"127.0.0.1:{services.grpc_port}"
        with clients(address, Bearer()) as service:
            yield Place(address, token, service)


@pytest.fixture(scope="session")
def emulator_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give Google's emulator."""
    with emulator(tmp_path_factory.mktemp("emulator")) as running, clients(running.address) as service:
        yield Place(running.address, None, service)


@pytest.fixture(params=["local_place", pytest.param("emulator_place", marks=pytest.mark.gcloud)])
def place(request: pytest.FixtureRequest) -> Place:
    """Give each service in turn."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def take_from(tmp_path: Path) -> AsyncIterator[Callable[..., Taker]]:
    """Make feeds with a taker each; all are closed afterwards."""
    made: list[Taker] = []

    def make(address: str, token: str | None, subscription: str, *, most: int = 100, keepalive: float = 30.0) -> Taker:
        connection = PubSubConnection(address, token, keepalive=keepalive, silence=2.0)
        made.append(Taker(PubSubFeed(subscription, connection, most=most, lease=10, patience=QUICK)))
        return made[-1]

    yield make
    for taker in made:
        await taker.feed.close()


@pytest.fixture
def subscribed(place: Place, take_from: Callable[..., Taker]) -> Callable[..., tuple[str, Taker]]:
    """Make a topic with a subscription, and a feed of it."""

    def make(*, most: int = 100, ordered: bool = False, **settings: object) -> tuple[str, Taker]:
        topic = place.service.topic()
        subscription = place.service.subscription(topic, enable_message_ordering=ordered, **settings)
        return topic, take_from(place.address, place.token, subscription, most=most)

    return make
