"""The real gcloud publishes and pulls on the local Pub/Sub, on the topics that every world has."""

import base64
import json

import pytest

from tests.journeys.conftest import Up
from tests.journeys.test_shell import in_shell

pytestmark = pytest.mark.gcloud

NOTIFICATION = {"action": "INSERT", "digest": f"europe-docker.pkg.dev/demo/apps/shop@sha256:{'0' * 64}"}


def test_gcloud_publishes_what_the_bridge_would_receive(world: Up) -> None:
    """A push notification arrives in the subscription, with its attributes."""
    message = json.dumps(NOTIFICATION)
    pull = "gcloud pubsub subscriptions pull gcr-bridge --auto-ack --limit=5 --format=json"
    script = " && echo , && ".join(
        (
            "gcloud pubsub topics list --format=json",
            f"gcloud pubsub topics publish gcr --message='{message}' --attribute=kind=image --format=json",
            pull,
        )
    )
    shown = in_shell(world.data, f"echo [ && {script} && echo ]")
    assert shown.returncode == 0, shown.stderr
    topics, published, pulled = json.loads(shown.stdout)

    names = {topic["name"].rsplit("/", 1)[1] for topic in topics}
    assert names == {"gcr", "container-analysis-occurrences-v1"}
    (received,) = pulled
    assert [received["message"]["messageId"]] == published["messageIds"]
    assert json.loads(base64.b64decode(received["message"]["data"])) == NOTIFICATION
    assert received["message"]["attributes"] == {"kind": "image"}
