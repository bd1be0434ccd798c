"""One image, one attestor for each kind of key: the worker on the real adapters, the local services as the judge."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import process_time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from schemas.images import ImageAttested, ImagePushed
from tests.attest.world import DIGEST, IMAGE, MANIFEST, REPOSITORY, envelope, rule
from tests.contracts.google import GoogleWorld, google_world
from tests.fakes.claims import FakeClaims
from tests.fakes.clock import FakeClock
from tests.fakes.images import FakeImages
from tests.fakes.progress import FakeProgress
from tests.fakes.rates import FakeRates
from workers.adapters.google.attestations import GrafeasAttestations
from workers.adapters.google.attestors import BinauthzAttestors
from workers.adapters.google.kms import KmsSigningKeys
from workers.adapters.keys.local import LocalSigningKeys
from workers.adapters.keys.making import new_private_key
from workers.adapters.keys.routing import RoutedSigningKeys
from workers.adapters.keys.schemes import pem_of
from workers.attest.keys import chosen_key
from workers.attest.worker import attest
from workers.attestors.listing import natural_id
from workers.failures import Invalid
from workers.key_references import OPENPGP
from workers.ports import Attestation, Attestor, PublicKey, SigningKeys
from workers.signing import SigningRules

IN_KMS = ("ECDSA_P256_SHA256", "RSA_PSS_2048_SHA256", "ML_DSA_65")
LOCAL = ("ECDSA_P521_SHA512", "RSA_SIGN_PKCS1_2048_SHA256", "RSA_PSS_4096_SHA512", "ML_DSA_65", OPENPGP)
PASSPHRASE = "canary-passphrase-correct-horse"


@dataclass
class Lane:
    """The worker with keys of all kinds."""

    world: GoogleWorld
    folder: Path
    keys: SigningKeys
    images: FakeImages
    attestors: BinauthzAttestors
    attestations: GrafeasAttestations
    progress: FakeProgress = field(default_factory=FakeProgress)
    rules: list[dict[str, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """The private keys."""

    def local_key(self, algorithm: str) -> str:
        """Write a private key, encrypted where that can be, and return its reference."""
        passphrase = None if algorithm == OPENPGP else PASSPHRASE
        self.texts.append(new_private_key(algorithm, passphrase=passphrase))
        path = self.folder / f"{algorithm}.key"
        for file, text in ((path, self.texts[-1]), (self.folder / "passphrase", PASSPHRASE)):
            file.touch(0o600)
            file.write_text(text)
        option = f"&algorithm={algorithm}" if algorithm.startswith("RSA") else ""
        return f"file://{path}?passphrase=file://{self.folder}/passphrase{option}"

    async def trust(self, name: str, key: str, *others: PublicKey) -> str:
        """Make an attestor for a key, and the rule that signs with it."""
        public = await self.keys.public_key(key)
        listed = replace(public, id=natural_id(public.id))
        attestor = await self.world.attestor(name, await self.world.note(name), *others, listed)
        self.rules.append(rule(attestor=attestor, key=key))
        return attestor

    async def attest(self) -> list[ImageAttested]:
        """Handle the push of the image."""
        generator = attest(
            ImagePushed(image=IMAGE),
            envelope(),
            self.images,
            self.keys,
            self.attestors,
            self.attestations,
            FakeClaims(),
            FakeRates(),
            SigningRules.model_validate(self.rules),
            FakeClock(),
            self.progress,
        )
        return [attested async for attested in generator]

    async def verdict(self, attestor: str, attestation: Attestation) -> str:
        """Ask Binary Authorization."""
        try:
            return (await self.attestors.validate(attestor, attestation, timeout=30)).result
        except Invalid:
            return "refused as such"


@pytest.fixture
async def lane(tmp_path: Path) -> AsyncIterator[Lane]:
    """Run the services and push the image."""
    async with google_world(tmp_path) as world:
        kms, local = KmsSigningKeys(world.connection), LocalSigningKeys()

        async def build_kms() -> SigningKeys:
            return kms

        async def build_local() -> SigningKeys:
            return local

        images = FakeImages("europe-docker.pkg.dev")
        images.put(REPOSITORY, "1.4.2", MANIFEST)
        yield Lane(
            world,
            tmp_path,
            RoutedSigningKeys(build_kms, build_local),
            images,
            BinauthzAttestors(world.connection),
            GrafeasAttestations(world.connection),
        )


def changed(content: bytes) -> bytes:
    """Return it with one byte changed, and no line break."""
    place = next(number for number in range(len(content) // 2, len(content)) if content[number : number + 1] != b"\n")
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


async def test_every_kind_of_key_attests_and_nothing_else_is_accepted(
    lane: Lane, caplog: pytest.LogCaptureFixture
) -> None:
    """Each attestation is VERIFIED by its own attestor alone, and refused once a byte of it is another.

    What was logged and told on the way holds neither a private key nor its passphrase.
    """
    caplog.set_level(logging.DEBUG)
    algorithms = {}
    for number, algorithm in enumerate((*IN_KMS, *LOCAL)):
        in_kms = number < len(IN_KMS)
        key = await lane.world.key(algorithm.lower(), algorithm) if in_kms else lane.local_key(algorithm)
        algorithms[await lane.trust(f"attestor-{number}", key)] = algorithm

    attested = await lane.attest()
    assert {event.attestor: event.algorithm for event in attested} == algorithms
    for event in attested:
        (stored,) = await lane.attestations.find(event.note, DIGEST)
        assert stored.key_id == event.key_id
        other = DIGEST[:-1] + ("0" if DIGEST[-1] != "0" else "1")
        verdicts = [
            await lane.verdict(event.attestor, one)
            for one in (
                stored,
                replace(stored, payload=changed(stored.payload)),
                replace(stored, signature=changed(stored.signature)),
                replace(stored, resource_uri=stored.resource_uri.replace(DIGEST, other)),
            )
        ]
        assert verdicts[0] == "VERIFIED"
        assert "VERIFIED" not in verdicts[1:], event.algorithm
    written = "\n".join([caplog.text, str(lane.progress.__dict__), *(event.model_dump_json() for event in attested)])
    assert PASSPHRASE not in written
    assert not [line for text in lane.texts for line in text.splitlines() if len(line) > 40 and line in written]


async def test_a_key_that_expired_or_went_away_stops_that_rule_alone(lane: Lane) -> None:
    """The other rules sign, then the sentence tells."""
    kept = await lane.trust("kept", lane.local_key("ECDSA_P256_SHA256"))
    gone = lane.local_key("ECDSA_P384_SHA384")
    await lane.trust("gone", gone)
    (lane.folder / "ECDSA_P384_SHA384.key").write_text("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")

    generator = lane.attest()
    with pytest.raises(Invalid, match="is a certificate, which holds only a public key"):
        await generator
    (stored,) = await lane.attestations.find("projects/acme/notes/kept", DIGEST)
    assert await lane.verdict(kept, stored) == "VERIFIED"


async def test_our_key_is_found_among_a_thousand(lane: Lane) -> None:
    """As many as an attestor may have; ours is the last, and it is found again for every image at once."""
    curve = ec.SECP256R1()
    others = [
        PublicKey(
            f"https://acme.example/keys/{number}",
            "ECDSA_P256_SHA256",
            pem_of(ec.generate_private_key(curve).public_key()),
        )
        for number in range(999)
    ]
    key = lane.local_key("ECDSA_P256_SHA256")
    name = await lane.trust("crowded", key, *others)
    attestor, public = await lane.attestors.get(name), await lane.keys.public_key(key)
    began = process_time()
    for _ in range(100):
        assert chosen_key(attestor, public).id == public.id

    assert len(attestor.keys) == 1000
    assert process_time() - began < 10
    assert [event.key_id for event in await lane.attest()] == [public.id]


def test_a_thousand_strangers_are_no_match() -> None:
    """The sentence says how many were looked at."""
    public = PublicKey("A" * 40, OPENPGP, "armored")
    strangers = tuple(replace(public, id=f"{number:040X}") for number in range(1000))

    with pytest.raises(Invalid, match=r"none of the 1000 public keys of attestor .* is that of AAA"):
        chosen_key(Attestor("projects/acme/attestors/ci", "projects/acme/notes/ci", strangers), public)
