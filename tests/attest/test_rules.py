"""The pure decisions: payload, key choice, what is surplus."""

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.attest.world import ATTESTOR, DIGEST, KEY, KEY_ID, NOTE, REPOSITORY
from tests.fakes.signing_keys import FakeSigningKeys
from workers.attest.rules import by_key, chosen_key, is_same_key, resource_uri, signature_payload, surplus
from workers.failures import Invalid
from workers.ports import Attestation, Attestor, PublicKey, ResolvedImage

IMAGE = ResolvedImage("europe-docker.pkg.dev", "acme/apps/shop", "1.4.2", DIGEST, "application/json")
COMMAND = f"gcloud container binauthz attestors public-keys add --attestor={ATTESTOR} --keyversion={KEY}"


@pytest.fixture
def signing() -> PublicKey:
    """Make a key and return its public half."""
    return FakeSigningKeys().add(KEY)


def attestor_with(*keys: PublicKey) -> Attestor:
    """Return the attestor with these keys."""
    return Attestor(ATTESTOR, NOTE, keys)


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


def test_the_key_is_chosen_by_its_public_half(signing: PublicKey) -> None:
    """Other keys, other line breaks and other ids do not confuse it."""
    other = FakeSigningKeys().add(KEY)
    rewrapped = signing.pem.replace("\n", "\r\n") + "\n\n"
    attestor = attestor_with(replace(other, id="other"), PublicKey("mine", signing.algorithm, rewrapped))

    assert chosen_key(attestor, signing).id == "mine"


def test_the_id_that_gcloud_derives_is_preferred(signing: PublicKey) -> None:
    """A key listed twice has one natural id, so that all sign under the same."""
    attestor = attestor_with(replace(signing, id="ni:///sha-256;x"), replace(signing, id=KEY_ID))

    assert chosen_key(attestor, signing).id == KEY_ID


def test_an_attestor_without_keys_is_named(signing: PublicKey) -> None:
    """Such an attestor accepts nothing at all."""
    with pytest.raises(Invalid) as failure:
        chosen_key(attestor_with(), signing)

    assert str(failure.value) == (
        f"attestor {ATTESTOR} has no public keys, so it accepts no attestation at all: add it with `{COMMAND}`"
    )


def test_a_key_that_the_attestor_lacks_is_named_with_the_command(signing: PublicKey) -> None:
    """Which attestor, which key, and how to add it."""
    other = FakeSigningKeys().add(KEY)
    with pytest.raises(Invalid) as failure:
        chosen_key(attestor_with(replace(other, id="other")), signing)

    assert str(failure.value) == (
        f"none of the 1 public keys of attestor {ATTESTOR} is that of {KEY}: add it with `{COMMAND}`,"
        " or name another key in the signing rule"
    )


def test_a_right_id_with_a_wrong_key_is_named(signing: PublicKey) -> None:
    """Somebody listed another key under the KMS id."""
    other = FakeSigningKeys().add(KEY)
    with pytest.raises(Invalid, match=f"lists the id {KEY_ID} with another public key than Cloud KMS holds"):
        chosen_key(attestor_with(replace(other, id=KEY_ID)), signing)


def test_a_wrong_algorithm_is_named(signing: PublicKey) -> None:
    """The attestor would check with another algorithm than the key signs with."""
    listed = replace(signing, id=KEY_ID, algorithm="ECDSA_P384_SHA384")
    with pytest.raises(Invalid) as failure:
        chosen_key(attestor_with(listed), signing)

    assert str(failure.value) == (
        f"attestor {ATTESTOR} lists the key {KEY} with the algorithm ECDSA_P384_SHA384, but it signs with"
        " ECDSA_P256_SHA256: list it with ECDSA_P256_SHA256, or name a key of ECDSA_P384_SHA384"
    )


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----"]
)
def test_what_is_no_pem_equals_nothing(text: str) -> None:
    """Not even itself."""
    assert not is_same_key(text, text)


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
