"""Notifications of pushed images, as Artifact Registry writes them on `gcr`, waiting in Google's Pub/Sub emulator."""

import json
from asyncio.subprocess import Process
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.processes import spawn
from tests.contracts.pubsub.services import Service, clients, emulator

_IMAGE = "europe-docker.pkg.dev/acme/images/shop"
_BATCH = 1000


class Notifications:
    """An emulator of one's own, with topics to fill; it answers in the caller's thread."""

    def __init__(self, address: str, service: Service) -> None:
        self.address = address
        self._service = service
        self._topics: dict[str, str] = {}

    def subscriptions(self, count: int) -> list[str]:
        """Make so many topics with one subscription each, and return the subscriptions."""
        made = []
        for _ in range(count):
            topic = self._service.topic()
            made.append(self._service.subscription(topic, ack_deadline_seconds=60))
            self._topics[made[-1]] = topic
        return made

    def publish(self, subscription: str, numbers: Sequence[int]) -> None:
        """Publish the notifications with these numbers: each is another digest and another tag."""
        for begin in range(0, len(numbers), _BATCH):
            messages = [{"data": notification(number)} for number in numbers[begin : begin + _BATCH]]
            self._service.publish_all(self._topics[subscription], messages)

    def left(self, subscription: str) -> int:
        """Return how many messages somebody could get now; none is acknowledged."""
        return len(self._service.waiting(subscription))


def notification(number: int) -> bytes:
    """Return the n-th notification."""
    return json.dumps(
        {"action": "INSERT", "digest": f"{_IMAGE}@{digest(number)}", "tag": f"{_IMAGE}:1.{number}"}
    ).encode()


def digest(number: int) -> str:
    """Return the digest of the n-th image."""
    return f"sha256:{number:064x}"


@contextmanager
def notifications(folder: Path) -> Iterator[Notifications]:
    """Run Google's emulator."""
    with emulator(folder) as running, clients(running.address) as service:
        yield Notifications(running.address, service)


async def start_bridge(address: str, nats: str, subscriptions: Sequence[str], log: Path, **settings: object) -> Process:
    """Start the real `sealane worker bridge` between the emulator and a bus that asks nobody for a key."""
    feeds = [{"subscription": name, "mapping": "gcr", **settings} for name in subscriptions]
    environment = {
        "SEALANE_NATS": nats,
        "SEALANE_GOOGLE_ENDPOINT": address,
        "SEALANE_FEEDS": json.dumps(feeds),
        "SEALANE_METRICS_PORT": "-1",
    }
    return await spawn("-m", "workers", "worker", "bridge", environment=environment, errors=log)
