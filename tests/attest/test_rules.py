"""The pure decisions: payload, what is surplus."""

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.attest.world import DIGEST, KEY_ID, NOTE, REPOSITORY
from workers.attest.rules import by_key, resource_uri, signature_payload, surplus
from workers.manifests import OCI_MANIFEST, Manifest
from workers.ports import Attestation, ResolvedImage

IMAGE = ResolvedImage("europe-docker.pkg.dev", "acme/apps/shop", "1.4.2", Manifest(DIGEST, OCI_MANIFEST))


def test_the_payload_is_gclouds_byte_for_byte() -> None:
    """Two spaces, sorted keys, a newline at the end."""
    assert signature_payload(IMAGE) == (
        b'{\n  "critical": {\n    "identity": {\n      "docker-reference": "europe-docker.pkg.dev/acme/apps/shop"\n'
        b'    },\n    "image": {\n      "docker-manifest-digest": "' + DIGEST.encode() + b'"\n    },\n'
        b'    "type": "Google cloud binauthz container signature"\n  }\n}\n'
    )


@pytest.mark.gcloud
@pytest.mark.parametrize("host", ["europe-docker.pkg.dev", "gcr.io", "127.0.0.1:5000"])
def test_gcloud_itself_writes_the_same_payload(host: str, tmp_path: Path) -> None:
    """The real command is the authority on its own bytes."""
    image = replace(IMAGE, host=host)
    command = ["gcloud", "container", "binauthz", "create-signature-payload", f"--artifact-url={image.uri}"]
    token = tmp_path / "token"
    token.write_text("no account is needed, but gcloud wants one")
    settings = {"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(token), "CLOUDSDK_CONFIG": str(tmp_path / "gcloud")}
    printed = subprocess.run(command, check=True, capture_output=True, timeout=60, env=os.environ | settings)

    assert signature_payload(image) == printed.stdout


def test_the_resource_has_a_scheme() -> None:
    """As Artifact Analysis writes it."""
    assert resource_uri(IMAGE) == f"https://{REPOSITORY}@{DIGEST}"


def stored(number: int, *, key_id: str = KEY_ID, minutes: int = 0, name: str | None = None) -> Attestation:
    """Return an attestation as listed."""
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    return Attestation(NOTE, resource_uri(IMAGE), b"", key_id, b"", name or f"projects/p/occurrences/{number}", at)


def test_the_oldest_of_the_key_is_kept_and_names_decide_ties() -> None:
    """All replicas must agree on which one stays."""
    late, tied, first, other = stored(3, minutes=5), stored(2), stored(1), stored(0, key_id="another")

    mine = by_key((late, tied, first, other), KEY_ID)
    assert mine == (first, tied, late)
    assert surplus(mine, (late, tied, first, other)) == (tied, late)


def test_an_occurrence_with_another_keys_signature_is_never_surplus() -> None:
    """Removing it would remove what somebody else signed."""
    first, shared = stored(1), stored(2, minutes=1)
    foreign = stored(2, key_id="another", minutes=1)

    assert surplus((first, shared), (first, shared, foreign)) == ()
