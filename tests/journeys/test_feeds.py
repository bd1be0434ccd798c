"""What Google's services publish on Pub/Sub reaches the workers of a running world."""

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.cloud.pubsub_v1 import PublisherClient
from google.pubsub_v1.services.publisher.transports.grpc import PublisherGrpcTransport

from tests.journeys.conftest import DEADLINE, Up, eventually, sealane
from tests.journeys.notified import is_attested, pushed
from workers.adapters.google.bearer import Bearer


@pytest.fixture
def publisher(world: Up) -> Iterator[PublisherClient]:
    """Give Google's own client on the local Pub/Sub."""
    bearer = Bearer(Path(world.endpoints["token"]).read_text())
    with grpc.insecure_channel(world.endpoints["google_grpc"]) as channel:
        yield PublisherClient(transport=PublisherGrpcTransport(channel=grpc.intercept_channel(channel, bearer)))


def test_a_gcr_notification_leads_to_an_attested_image(world: Up, publisher: PublisherClient, tmp_path: Path) -> None:
    """Published with Google's client as Artifact Registry publishes it, twice: the image is attested."""
    reference, digest = pushed(world, "notified", tmp_path / "layout")
    repository = reference.rpartition(":")[0]
    notification = json.dumps({"action": "INSERT", "digest": f"{repository}@{digest}", "tag": reference}).encode()
    topic = f"projects/{world.endpoints['project']}/topics/gcr"

    for _ in range(2):
        assert publisher.publish(topic, notification).result(timeout=DEADLINE)

    eventually(lambda: is_attested(world, digest), f"an attestation of {digest}")


def test_a_message_that_means_nothing_is_a_dead_letter_for_people(world: Up, publisher: PublisherClient) -> None:
    """`sealane dead` shows it with its attributes, and a replay ends in another one, as long as nothing is mended."""
    topic = f"projects/{world.endpoints['project']}/topics/gcr"
    publisher.publish(topic, b"no notification", origin="a test").result(timeout=DEADLINE)

    def letters() -> list[dict[str, object]]:
        found = sealane("dead", "list", "--worker", "bridge", "--json", "--data", str(world.data))
        assert found.returncode == 0, found.stderr
        return [json.loads(line) for line in found.stdout.splitlines()]

    [letter] = eventually(letters, "a dead letter of the bridge")
    shown = sealane("dead", "show", str(letter["sequence"]), "--data", str(world.data))
    assert "is not JSON" in shown.stdout
    assert "a test" in shown.stdout
    edited = sealane("dead", "replay", str(letter["sequence"]), "--set", "message=x", "--data", str(world.data))
    assert (edited.returncode, "mend its mapping in SEALANE_FEEDS" in edited.stderr) == (2, True)
    replayed = sealane("dead", "replay", str(letter["sequence"]), "--data", str(world.data))
    assert replayed.returncode == 0, replayed.stderr
    eventually(lambda: len(letters()) == 2, "a dead letter of the replay")
