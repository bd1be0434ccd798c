"""The real gcloud publishes and pulls on the local Pub/Sub, on the topics that every world has."""

import base64
import json
from pathlib import Path

import pytest

from tests.journeys.conftest import Up, eventually
from tests.journeys.notified import is_attested, pushed
from tests.journeys.test_shell import in_shell

pytestmark = pytest.mark.gcloud

NOTIFICATION = {"action": "INSERT", "digest": f"europe-docker.pkg.dev/demo/apps/shop@sha256:{'0' * 64}"}


def test_gcloud_publishes_and_pulls(world: Up) -> None:
    """A push notification arrives in a subscription of one's own, with its attributes, whatever the bridge takes."""
    message = json.dumps(NOTIFICATION)
    pull = "gcloud pubsub subscriptions pull mine --auto-ack --limit=5 --format=json"
    script = " && echo , && ".join(
        (
            "gcloud pubsub topics list --format=json",
            "gcloud pubsub subscriptions create mine --topic=gcr --format=json",
            f"gcloud pubsub topics publish gcr --message='{message}' --attribute=kind=image --format=json",
            pull,
        )
    )
    shown = in_shell(world.data, f"echo [ && {script} && echo ]")
    assert shown.returncode == 0, shown.stderr
    topics, _, published, pulled = json.loads(shown.stdout)

    names = {topic["name"].rsplit("/", 1)[1] for topic in topics}
    assert names == {"gcr", "container-analysis-occurrences-v1", "scans"}
    (received,) = pulled
    assert [received["message"]["messageId"]] == published["messageIds"]
    assert json.loads(base64.b64decode(received["message"]["data"])) == NOTIFICATION
    assert received["message"]["attributes"] == {"kind": "image"}


def test_what_gcloud_publishes_is_carried_to_an_attestation(world: Up, tmp_path: Path) -> None:
    """A notification as Artifact Registry sends it, published by hand, has the image attested."""
    reference, digest = pushed(world, "by-hand", tmp_path / "layout")
    notification = json.dumps({"action": "INSERT", "digest": f"{reference.rpartition(':')[0]}@{digest}"})
    shown = in_shell(world.data, f"gcloud pubsub topics publish gcr --message='{notification}'")

    assert shown.returncode == 0, shown.stderr
    eventually(lambda: is_attested(world, digest), f"an attestation of {digest}")
