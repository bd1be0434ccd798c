"""What every SigningKeys does: in memory, and on Cloud KMS's wire protocol."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.contracts.google import RING, GoogleWorld, google_world
from tests.fakes.signing_keys import FakeSigningKeys
from workers.adapters.google.kms import KmsSigningKeys
from workers.failures import Invalid, NotFound
from workers.ports import PublicKey, SigningKeys

PAYLOAD = b'{"critical": {}}\n'
MISSING = f"{RING}/cryptoKeys/missing/cryptoKeyVersions/1"


class Place(Protocol):
    """Somewhere keys are, and what an administrator does there."""

    keys: SigningKeys

    async def make(self, algorithm: str) -> str:
        """Make a key and return its name."""

    async def disable(self, key: str) -> None:
        """Disable it."""


class InMemory:
    """The fake."""

    def __init__(self) -> None:
        self.fake = FakeSigningKeys()
        self.keys: SigningKeys = self.fake

    async def make(self, algorithm: str) -> str:
        """Make a key."""
        name = f"{RING}/cryptoKeys/{algorithm.lower()}/cryptoKeyVersions/1"
        return self.fake.add(name, algorithm).id

    async def disable(self, key: str) -> None:
        """Disable it."""
        self.fake.disabled.add(key)


class OnKms:
    """The adapter in front of the local Cloud KMS."""

    def __init__(self, world: GoogleWorld) -> None:
        self.world = world
        self.keys: SigningKeys = KmsSigningKeys(world.connection)

    async def make(self, algorithm: str) -> str:
        """Make a key."""
        return await self.world.key(algorithm.lower(), algorithm)

    async def disable(self, key: str) -> None:
        """Disable it."""
        await self.world.disable(key)


@pytest.fixture(params=["memory", "kms"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Give each place in turn."""
    if request.param == "memory":
        yield InMemory()
    else:
        async with google_world(tmp_path) as world:
            yield OnKms(world)


def require_signed(key: PublicKey, payload: bytes, signature: bytes) -> None:
    """Raise InvalidSignature unless the signature is one of the payload by the key."""
    public = load_pem_public_key(key.pem.encode())
    if isinstance(public, ec.EllipticCurvePublicKey):
        digest = hashes.SHA256() if key.algorithm.endswith("SHA256") else hashes.SHA384()
        public.verify(signature, payload, ec.ECDSA(digest))
        return
    assert isinstance(public, rsa.RSAPublicKey)
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    if "PSS" in key.algorithm:
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
    public.verify(signature, payload, scheme, hashes.SHA256())


@pytest.mark.parametrize("algorithm", ["ECDSA_P256_SHA256", "RSA_SIGN_PKCS1_2048_SHA256"])
async def test_a_signature_verifies_with_the_public_half(place: Place, algorithm: str) -> None:
    """The public half names the key and Binary Authorization's algorithm, and verifies what the key signed."""
    key = await place.make(algorithm)
    public = await place.keys.public_key(key)
    signature = await place.keys.sign(key, PAYLOAD, timeout=30)

    assert (public.id, public.algorithm) == (key, algorithm)
    require_signed(public, PAYLOAD, signature)
    with pytest.raises(InvalidSignature):
        require_signed(public, PAYLOAD + b" ", signature)


async def test_a_missing_key_is_not_found(place: Place) -> None:
    """Neither read nor used."""
    with pytest.raises(NotFound, match="missing"):
        await place.keys.public_key(MISSING)
    with pytest.raises(NotFound, match="missing"):
        await place.keys.sign(MISSING, PAYLOAD, timeout=30)


async def test_a_disabled_key_is_invalid(place: Place) -> None:
    """The public half is refused as well, so that it is noticed before anything else is done."""
    key = await place.make("ECDSA_P256_SHA256")
    await place.disable(key)

    with pytest.raises(Invalid):
        await place.keys.public_key(key)
    with pytest.raises(Invalid):
        await place.keys.sign(key, PAYLOAD, timeout=30)


async def test_a_key_disabled_after_it_was_read_signs_no_more(place: Place) -> None:
    """What is cached of a key does not keep it alive."""
    key = await place.make("ECDSA_P256_SHA256")
    await place.keys.public_key(key)
    await place.disable(key)

    with pytest.raises(Invalid):
        await place.keys.sign(key, PAYLOAD, timeout=30)
