"""The real gcloud publishes and pulls on the local Pub/Sub, on the topics that every world has."""

import base64
import json
from pathlib import Path

import pytest

from tests.journeys.conftest import Up, eventually
from tests.journeys.notified import is_attested, pushed
from tests.journeys.test_shell import in_shell

pytestmark = [pytest.mark.gcloud, pytest.mark.timeout(600)]


def test_gcloud_publishes_and_pulls(world: Up, tmp_path: Path) -> None:
    """A notification as Artifact Registry sends it, by hand: in a subscription of one's own, and at the bridge."""
    reference, digest = pushed(world, "by-hand", tmp_path / "layout")
    notification = {"action": "INSERT", "digest": f"{reference.rpartition(':')[0]}@{digest}"}
    message = json.dumps(notification)
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
    assert json.loads(base64.b64decode(received["message"]["data"])) == notification
    assert received["message"]["attributes"] == {"kind": "image"}
    eventually(lambda: is_attested(world, digest), f"an attestation of {digest}")
