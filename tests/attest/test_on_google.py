"""The worker on the real adapters and the wire: Cloud KMS, Binary Authorization, Artifact Analysis."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.images import ImageAttested, ImagePushed
from tests.attest.world import DIGEST, IMAGE, MANIFEST, REPOSITORY, SHOP, envelope, rule
from tests.contracts.google import GoogleWorld, google_world
from tests.fakes.claims import FakeClaims
from tests.fakes.clock import FakeClock
from tests.fakes.images import FakeImages
from tests.fakes.progress import FakeProgress
from tests.fakes.rates import FakeRates
from workers.adapters.google.attestations import GrafeasAttestations
from workers.adapters.google.attestors import BinauthzAttestors
from workers.adapters.google.kms import KmsSigningKeys
from workers.attest.worker import attest
from workers.failures import Invalid, QuotaExhausted
from workers.local.registry import build_image, build_index
from workers.ports import PublicKey
from workers.signing import SigningRules

READ_LAG = timedelta(seconds=0.6)


class RealClock(FakeClock):
    """The services' lag is real, so is the waiting."""

    async def sleep(self, duration: timedelta) -> None:
        """Wait."""
        await asyncio.sleep(duration.total_seconds())


@dataclass
class Lane:
    """A worker and what it works on."""

    world: GoogleWorld
    rules: SigningRules
    note: str
    claims: FakeClaims
    images: FakeImages
    keys: KmsSigningKeys
    attestors: BinauthzAttestors
    attestations: GrafeasAttestations

    async def attest(self, event: ImagePushed) -> list[ImageAttested]:
        """Handle one event."""
        generator = attest(
            event,
            envelope(),
            self.images,
            self.keys,
            self.attestors,
            self.attestations,
            self.claims,
            FakeRates(),
            self.rules,
            RealClock(),
            FakeProgress(),
        )
        return [attested async for attested in generator]


@pytest.fixture
async def lane(tmp_path: Path) -> AsyncIterator[Lane]:
    """Set up key, note, attestor and rule as an administrator would."""
    async with google_world(tmp_path) as world:
        key = await world.key("signer")
        keys = KmsSigningKeys(world.connection)
        public = replace(await keys.public_key(key), id=f"//cloudkms.googleapis.com/v1/{key}")
        note = await world.note("ci")
        attestor = await world.attestor("ci", note, public)
        images = FakeImages("europe-docker.pkg.dev")
        images.put(REPOSITORY, "1.4.2", MANIFEST)
        yield Lane(
            world,
            SigningRules.model_validate([rule(attestor=attestor, key=key)]),
            note,
            FakeClaims(),
            images,
            keys,
            BinauthzAttestors(world.connection),
            GrafeasAttestations(world.connection, read_lag=READ_LAG),
        )


async def test_an_image_is_signed_validated_and_stored(lane: Lane) -> None:
    """One call of each kind, and the occurrence is there."""
    lane.world.faults.calls.clear()
    (attested,) = await lane.attest(ImagePushed(image=IMAGE))
    calls = dict(lane.world.faults.calls)

    assert calls == {
        "GetAttestor": 1,
        "ListNoteOccurrences": 1,
        "AsymmetricSign": 1,
        "ValidateAttestationOccurrence": 1,
        "CreateOccurrence": 1,
    }
    (stored,) = await lane.attestations.find(lane.note, DIGEST)
    assert stored.name == attested.occurrence


async def test_an_index_costs_one_call_of_each_kind_for_every_digest(lane: Lane) -> None:
    """Attestor and public key are asked for once, whatever the number of platforms."""
    index = build_index([SHOP, build_image([{"etc/name": b"shop"}], architecture="arm64")])
    for member in index.members:
        lane.images.put(REPOSITORY, None, member.manifest)
    lane.images.put(REPOSITORY, "2", index.manifest, index.media_type)
    lane.world.faults.calls.clear()

    assert len(await lane.attest(ImagePushed(image=f"{REPOSITORY}:2"))) == 3
    assert dict(lane.world.faults.calls) == {
        "GetAttestor": 1,
        "ListNoteOccurrences": 3,
        "AsymmetricSign": 3,
        "ValidateAttestationOccurrence": 3,
        "CreateOccurrence": 3,
    }
    assert len(lane.images.asked) == 3


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "ALREADY_EXISTS"])
async def test_a_lost_answer_converges_despite_the_read_lag(lane: Lane, code: str) -> None:
    """The create was done, its answer lost, lists lag: still one attestation."""
    lane.world.faults.lag(READ_LAG.total_seconds() / 2)
    lane.world.faults.lose("CreateOccurrence", code=code)

    (attested,) = await lane.attest(ImagePushed(image=IMAGE))
    assert lane.world.faults.calls["CreateOccurrence"] == 1
    (stored,) = await lane.attestations.find(lane.note, DIGEST)
    assert (stored.name, attested.created) == (attested.occurrence, True)


async def test_an_exhausted_quota_paces_without_losing_anything(lane: Lane) -> None:
    """Thirty images against ten creates a second: refusals say when to come back, and all are done in the end."""
    lane.world.faults.quota("CreateOccurrence", 10, per=1.0)
    events = []
    for number in range(30):
        digest = lane.images.put(REPOSITORY, f"v{number}", MANIFEST + b" " * number)
        events.append(ImagePushed(image=f"{REPOSITORY}:v{number}", digest=digest))
    refusals = 0

    async def until_done(event: ImagePushed) -> ImageAttested:
        nonlocal refusals
        while True:
            try:
                (attested,) = await lane.attest(event)
            except QuotaExhausted as failure:
                refusals += 1
                await asyncio.sleep(failure.after.total_seconds())
            else:
                return attested

    done = await asyncio.gather(*(until_done(event) for event in events))
    assert refusals > 0
    assert [attested.digest for attested in done] == [event.digest for event in events]
    for attested in done:
        (stored,) = await lane.attestations.find(lane.note, attested.digest)
        assert stored.name == attested.occurrence


async def test_a_key_that_the_attestor_does_not_list_is_named(lane: Lane) -> None:
    """The sentence holds the command that adds it."""
    other = await lane.world.key("other")
    (first,) = lane.rules.rules
    lane.rules = SigningRules.model_validate([rule(attestor=first.attestor, key=other)])

    with pytest.raises(Invalid, match=f"sealane attestor ensure {first.attestor} --key {other}"):
        await lane.attest(ImagePushed(image=IMAGE))


async def test_a_key_listed_with_another_algorithm_is_named(lane: Lane) -> None:
    """An RSA key listed as PSS, which signs PKCS #1."""
    key = await lane.world.key("rsa", "RSA_SIGN_PKCS1_2048_SHA256")
    public = await lane.keys.public_key(key)
    listed = PublicKey("ni:///sha-256;rsa", "RSA_PSS_2048_SHA256", public.pem)
    attestor = await lane.world.attestor("rsa", lane.note, listed)
    lane.rules = SigningRules.model_validate([rule(attestor=attestor, key=key)])

    with pytest.raises(Invalid, match="with the algorithm RSA_PSS_2048_SHA256, but it signs with RSA_SIGN_PKCS1_2048"):
        await lane.attest(ImagePushed(image=IMAGE))


async def test_a_disabled_key_version_is_a_dead_letter(lane: Lane) -> None:
    """Disabled between being read and being used."""
    await lane.world.disable(lane.rules.rules[0].key)

    with pytest.raises(Invalid, match="gcloud kms keys versions enable 1"):
        await lane.attest(ImagePushed(image=IMAGE))
