"""What every Attestors does: in memory, and on Binary Authorization's wire protocol."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from tests.contracts.google import PROJECT, GoogleWorld, google_world
from tests.fakes.attestors import FakeAttestors
from tests.fakes.signing_keys import FakeSigningKeys
from workers.adapters.google.attestors import BinauthzAttestors
from workers.attest.rules import resource_uri, signature_payload
from workers.failures import NotFound
from workers.manifests import OCI_MANIFEST, Manifest
from workers.ports import Attestation, Attestors, PublicKey, ResolvedImage

DIGEST = "sha256:" + "a" * 64
IMAGE = ResolvedImage("europe-docker.pkg.dev", "acme/apps/shop", "1", Manifest(DIGEST, OCI_MANIFEST))
NOTE = f"{PROJECT}/notes/ci"
KEY_ID = "//cloudkms.googleapis.com/v1/projects/acme/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"


class Place(Protocol):
    """Somewhere attestors are, and what an administrator does there."""

    attestors: Attestors

    async def make(self, name: str, *keys: PublicKey) -> str:
        """Make an attestor of the note NOTE and return its name."""


class InMemory:
    """The fake."""

    def __init__(self) -> None:
        self.fake = FakeAttestors()
        self.attestors: Attestors = self.fake

    async def make(self, name: str, *keys: PublicKey) -> str:
        """Make an attestor."""
        return self.fake.add(f"{PROJECT}/attestors/{name}", NOTE, *keys).name


class OnBinauthz:
    """The adapter in front of the local Binary Authorization."""

    def __init__(self, world: GoogleWorld) -> None:
        self.world = world
        self.attestors: Attestors = BinauthzAttestors(world.connection)

    async def make(self, name: str, *keys: PublicKey) -> str:
        """Make an attestor."""
        await self.world.note("ci")
        return await self.world.attestor(name, NOTE, *keys)


@pytest.fixture(params=["memory", "binauthz"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Give each place in turn."""
    if request.param == "memory":
        yield InMemory()
    else:
        async with google_world(tmp_path) as world:
            yield OnBinauthz(world)


@pytest.fixture
def signer() -> FakeSigningKeys:
    """Hold one key, `local`."""
    keys = FakeSigningKeys()
    keys.add("local")
    return keys


async def listed(signer: FakeSigningKeys) -> PublicKey:
    """Return the key as an attestor lists it."""
    return replace(await signer.public_key("local"), id=KEY_ID)


async def good(signer: FakeSigningKeys) -> Attestation:
    """Return an attestation that is right in all."""
    payload = signature_payload(IMAGE)
    return Attestation(NOTE, resource_uri(IMAGE), payload, KEY_ID, await signer.sign("local", payload, timeout=1))


async def test_an_attestor_has_its_note_and_its_keys(place: Place, signer: FakeSigningKeys) -> None:
    """Ids, algorithms and keys come back as they were listed."""
    key = await listed(signer)
    attestor = await place.attestors.get(await place.make("ci", key))

    assert (attestor.name, attestor.note) == (f"{PROJECT}/attestors/ci", NOTE)
    (found,) = attestor.keys
    assert (found.id, found.algorithm, found.pem.strip()) == (key.id, key.algorithm, key.pem.strip())


async def test_an_attestor_may_have_no_keys(place: Place) -> None:
    """It is there, and accepts nothing."""
    assert (await place.attestors.get(await place.make("ci"))).keys == ()


async def test_a_missing_attestor_is_not_found(place: Place) -> None:
    """The name is in the sentence."""
    with pytest.raises(NotFound, match="projects/acme/attestors/missing"):
        await place.attestors.get(f"{PROJECT}/attestors/missing")


async def test_a_good_attestation_is_verified_without_being_stored(place: Place, signer: FakeSigningKeys) -> None:
    """Nothing was created before it is asked about."""
    attestor = await place.make("ci", await listed(signer))

    verdict = await place.attestors.validate(attestor, await good(signer), timeout=30)
    assert (verdict.result, verdict.reason) == ("VERIFIED", "")


async def test_the_scheme_of_the_resource_plays_no_part(place: Place, signer: FakeSigningKeys) -> None:
    """What gcloud wrote without `https://` verifies as well."""
    attestor = await place.make("ci", await listed(signer))
    attestation = replace(await good(signer), resource_uri=IMAGE.uri)

    assert (await place.attestors.validate(attestor, attestation, timeout=30)).result == "VERIFIED"


@pytest.mark.parametrize("wrong", ["signature", "payload", "digest", "key id", "note"])
async def test_a_wrong_attestation_is_refused_with_a_reason(place: Place, signer: FakeSigningKeys, wrong: str) -> None:
    """Signature, payload, digest, key and note are all looked at."""
    attestor = await place.make("ci", await listed(signer))
    attestation = await good(signer)
    other = "sha256:" + "b" * 64
    changed = {
        "signature": replace(attestation, signature=attestation.signature[:-2] + b"\0\0"),
        "payload": replace(attestation, payload=attestation.payload.replace(b"shop", b"stop")),
        "digest": replace(attestation, resource_uri=f"https://{IMAGE.repository}@{other}"),
        "key id": replace(attestation, key_id="ni:///sha-256;unknown"),
        "note": replace(attestation, note=f"{PROJECT}/notes/other"),
    }

    verdict = await place.attestors.validate(attestor, changed[wrong], timeout=30)
    assert verdict.result == "ATTESTATION_NOT_VERIFIABLE"
    assert verdict.reason
