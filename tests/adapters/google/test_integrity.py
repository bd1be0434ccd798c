"""What is damaged on the way, or does not fit, is never used."""

from types import SimpleNamespace
from typing import Any

import google_crc32c
import pytest

from tests.contracts.google import GoogleWorld
from workers.adapters.google.attestations import GrafeasAttestations
from workers.adapters.google.connection import GRAFEAS
from workers.adapters.google.kms import KmsSigningKeys
from workers.failures import Denied, Invalid, Unavailable
from workers.ports import Attestation

PEM = "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n"
KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
SIGNATURE = b"a signature"


class Answering:
    """A connection that answers as it is told, and keeps what was asked."""

    def __init__(self, **changes: Any) -> None:
        self.asked: dict[str, Any] = {}
        self.answers = {
            "get_public_key": {
                "pem": PEM,
                "pem_crc32c": google_crc32c.value(PEM.encode()),
                "algorithm": SimpleNamespace(name="EC_SIGN_P256_SHA256"),
            },
            "asymmetric_sign": {
                "name": KEY,
                "signature": SIGNATURE,
                "signature_crc32c": google_crc32c.value(SIGNATURE),
                "verified_digest_crc32c": True,
            },
        }
        for answer in self.answers.values():
            answer.update({name: value for name, value in changes.items() if name in answer})

    async def prepare(self, *_: object) -> None:
        """Need nothing."""

    async def call(self, _: object, method: str, request: Any, **__: object) -> Any:
        """Answer."""
        self.asked[method] = request
        return SimpleNamespace(**self.answers[method])


def keys(connection: Answering) -> KmsSigningKeys:
    """Return the adapter on it."""
    return KmsSigningKeys(connection)  # type: ignore[arg-type]  # it answers both that are used


async def test_what_is_sent_carries_its_checksum() -> None:
    """Cloud KMS can tell that the digest arrived whole."""
    connection = Answering()

    assert await keys(connection).sign(KEY, b"payload", timeout=1) == SIGNATURE
    sent = connection.asked["asymmetric_sign"]
    assert sent["digest_crc32c"] == google_crc32c.value(sent["digest"]["sha256"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"signature_crc32c": 1}, "sent a damaged signature"),
        ({"verified_digest_crc32c": False}, "did not verify the checksum of what it signed"),
        ({"name": "another"}, "answered for another key"),
        ({"pem_crc32c": 1}, "sent a damaged public key"),
    ],
)
async def test_a_damaged_answer_is_asked_for_again(change: dict[str, Any], sentence: str) -> None:
    """Temporary: the next attempt may be whole."""
    with pytest.raises(Unavailable, match=sentence):
        await keys(Answering(**change)).sign(KEY, b"payload", timeout=1)


async def test_a_key_that_cannot_attest_is_refused_by_name() -> None:
    """An algorithm without a word in Binary Authorization."""
    connection = Answering(algorithm=SimpleNamespace(name="EC_SIGN_SECP256K1_SHA256"))
    with pytest.raises(Invalid, match=f"the key {KEY} is one of EC_SIGN_SECP256K1_SHA256, which Binary Authorization"):
        await keys(connection).public_key(KEY)


async def test_a_disabled_key_says_how_to_enable_it(world: GoogleWorld) -> None:
    """The sentence holds the command."""
    key = await world.key("k")
    await world.disable(key)

    with pytest.raises(Invalid) as failure:
        await KmsSigningKeys(world.connection).public_key(key)
    assert f"gcloud kms keys versions enable 1 --key={key.rpartition('/cryptoKeyVersions/')[0]}`" in str(failure.value)


async def test_all_pages_are_read(world: GoogleWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five attestations at two a page."""
    monkeypatch.setattr("workers.adapters.google.attestations.PAGE_SIZE", 2)
    note = await world.note("ci")
    store = GrafeasAttestations(world.connection)
    digest = "sha256:" + "a" * 64
    for number in range(5):
        one = Attestation(note, f"https://gcr.io/acme/shop@{digest}", b"{}", f"ni:///sha-256;{number}", b"s")
        await store.create("projects/acme", one, timeout=30)

    found = await store.find(note, digest)
    assert [one.key_id for one in found] == [f"ni:///sha-256;{number}" for number in range(5)]
    assert world.faults.calls["ListNoteOccurrences"] == 3


async def test_a_create_that_is_not_allowed_names_both_permissions(world: GoogleWorld) -> None:
    """One on the project, one on the note: either may be missing."""
    note = await world.note("ci")
    world.faults.fail("CreateOccurrence", code="PERMISSION_DENIED")
    one = Attestation(note, "https://gcr.io/acme/shop@sha256:" + "a" * 64, b"{}", "ni:///sha-256;one", b"s")

    with pytest.raises(Denied) as failure:
        await GrafeasAttestations(world.connection).create("projects/acme", one, timeout=30)
    assert str(failure.value).startswith(
        f"Artifact Analysis does not let us attach to {note} an attestation in projects/acme: grant"
        " roles/containeranalysis.occurrences.editor (permission containeranalysis.occurrences.create, and"
        f" containeranalysis.notes.attachOccurrence on {note}) on it to the identity of this process"
    )


async def test_a_note_of_another_project_says_what_is_missing_there(world: GoogleWorld) -> None:
    """Which permission, which role has it, and on what: the note, not the project of the attestation."""
    note = await world.note("ci")
    world.faults.deny(note)
    store = GrafeasAttestations(world.connection)
    one = Attestation(note, "https://gcr.io/acme/shop@sha256:" + "a" * 64, b"{}", "ni:///sha-256;one", b"s")

    with pytest.raises(Denied) as failure:
        await store.create("projects/other", one, timeout=30)
    assert str(failure.value).startswith(
        f"Artifact Analysis does not let us attach to {note} an attestation in projects/other: grant"
        " roles/containeranalysis.notes.attacher (permission containeranalysis.notes.attachOccurrence) on"
        f" {note} to the identity of this process"
    )
    with pytest.raises(
        Denied, match=r"permission containeranalysis\.notes\.listOccurrences\) on projects/acme/notes/ci"
    ):
        await store.find(note, "sha256:" + "a" * 64)


async def test_an_attestation_that_exists_already_is_to_be_looked_for(world: GoogleWorld) -> None:
    """ALREADY_EXISTS is no failure of the worker's, it is a reason to look."""
    note = await world.note("ci")
    store = GrafeasAttestations(world.connection)
    one = Attestation(note, "https://gcr.io/acme/shop@sha256:" + "a" * 64, b"{}", "ni:///sha-256;one", b"s")
    await store.create("projects/acme", one, timeout=30)

    with pytest.raises(Unavailable, match="exists already; looking for it"):
        await store.create("projects/acme", one, timeout=30)


async def test_an_occurrence_with_two_signatures_is_two_attestations(world: GoogleWorld) -> None:
    """Of one name, so that nobody removes one and with it the other."""
    note = await world.note("ci")
    digest = "sha256:" + "a" * 64
    signatures = [{"public_key_id": f"ni:///sha-256;{name}", "signature": b"s"} for name in ("one", "two")]
    occurrence = {
        "kind": "ATTESTATION",
        "note_name": note,
        "resource_uri": f"https://gcr.io/acme/shop@{digest}",
        "attestation": {"serialized_payload": b"{}", "signatures": signatures},
    }
    await world.administer(GRAFEAS, "create_occurrence", {"parent": "projects/acme", "occurrence": occurrence})
    first, second = await GrafeasAttestations(world.connection).find(note, digest)

    assert first.name == second.name
    assert (first.key_id, second.key_id) == ("ni:///sha-256;one", "ni:///sha-256;two")


async def test_what_is_no_attestation_is_left_alone(world: GoogleWorld) -> None:
    """Somebody who deletes by name never deletes what a scanner found out."""
    note = {"vulnerability": {"severity": "HIGH"}}
    await world.administer(GRAFEAS, "create_note", {"parent": "projects/acme", "note_id": "cve", "note": note})
    occurrence = {
        "note_name": "projects/acme/notes/cve",
        "resource_uri": "https://gcr.io/acme/shop@sha256:" + "a" * 64,
        "vulnerability": {"package_issue": []},
    }
    made = await world.administer(GRAFEAS, "create_occurrence", {"parent": "projects/acme", "occurrence": occurrence})

    with pytest.raises(Invalid, match="is no attestation, it is an occurrence of kind VULNERABILITY"):
        await GrafeasAttestations(world.connection).get(made.name)
