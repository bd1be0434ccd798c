"""What every SigningKeys does: in memory, on Cloud KMS's wire protocol, and with local keys."""

import base64
import functools
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)
from pysequoia import CipherSuite, Profile, Tsk

from tests.contracts.google import RING, GoogleWorld, google_world
from tests.contracts.signing_keys.judges import holds
from tests.fakes.signing_keys import FakeSigningKeys
from workers.adapters.google.algorithms import KMS_WORDS
from workers.adapters.google.kms import KmsSigningKeys
from workers.adapters.keys.local import LocalSigningKeys
from workers.adapters.keys.schemes import SCHEMES
from workers.adapters.keys.verifying import is_signature_of
from workers.failures import NotFound, PermanentError
from workers.key_references import OPENPGP, PKIX_ALGORITHMS
from workers.ports import PublicKey, SigningKeys

PAYLOAD = b'{"critical": {}}\n'


class Place(Protocol):
    """Somewhere keys are, and what an administrator does there."""

    keys: SigningKeys
    missing: str

    async def make(self, algorithm: str) -> str:
        """Make a key and return the reference to it."""

    async def take_away(self, key: str) -> None:
        """Let it sign no more."""

    def id_of(self, key: str, public: PublicKey) -> str:
        """Return the id that a key should have."""


class InMemory:
    """The fake."""

    missing = f"{RING}/cryptoKeys/missing/cryptoKeyVersions/1"

    def __init__(self) -> None:
        self.fake = FakeSigningKeys()
        self.keys: SigningKeys = self.fake

    async def make(self, algorithm: str) -> str:
        """Make a key."""
        name = f"{RING}/cryptoKeys/{algorithm.lower()}/cryptoKeyVersions/1"
        return self.fake.add(name, algorithm).id

    async def take_away(self, key: str) -> None:
        """Disable it."""
        self.fake.disabled.add(key)

    def id_of(self, key: str, public: PublicKey) -> str:
        """Return its name."""
        return key


class OnKms:
    """The adapter in front of the local Cloud KMS."""

    missing = InMemory.missing

    def __init__(self, world: GoogleWorld) -> None:
        self.world = world
        self.keys: SigningKeys = KmsSigningKeys(world.connection)

    async def make(self, algorithm: str) -> str:
        """Make a key."""
        return await self.world.key(algorithm.lower(), algorithm)

    async def take_away(self, key: str) -> None:
        """Disable it."""
        await self.world.disable(key)

    def id_of(self, key: str, public: PublicKey) -> str:
        """Return its resource name."""
        return key


class InFiles:
    """Private keys in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missing = f"file://{folder}/missing"
        self.keys: SigningKeys = LocalSigningKeys()

    async def make(self, algorithm: str) -> str:
        """Write a key."""
        path = self.folder / algorithm
        if algorithm == OPENPGP:
            text = str(Tsk.generate("ci", profile=Profile.RFC4880, cipher_suite=CipherSuite.RSA2k))
        else:
            key = SCHEMES[algorithm].generate()
            text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        path.touch(0o600)
        path.write_text(text)
        return f"file://{path}" + (f"?algorithm={algorithm}" if algorithm.startswith("RSA") else "")

    async def take_away(self, key: str) -> None:
        """Remove the file."""
        (self.folder / key.rpartition("/")[2].partition("?")[0]).unlink()

    def id_of(self, key: str, public: PublicKey) -> str:
        """Return what Binary Authorization derives from the public half; gpg proves a fingerprint."""
        if public.algorithm == OPENPGP:
            return public.id
        der = load_pem_public_key(public.pem.encode()).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return "ni:///sha-256;" + base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")


_made_once = functools.cache(rsa.generate_private_key)


@pytest.fixture(autouse=True)
def rsa_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all places have the same RSA key of a size: to find the primes of one takes longer than all else here."""

    def made_once(public_exponent: int, key_size: int) -> rsa.RSAPrivateKey:
        return _made_once(public_exponent, key_size)

    monkeypatch.setattr(rsa, "generate_private_key", made_once)


@pytest.fixture(params=["memory", "kms", "files"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Give each place in turn."""
    if request.param == "memory":
        yield InMemory()
    elif request.param == "files":
        yield InFiles(tmp_path)
    else:
        async with google_world(tmp_path) as world:
            yield OnKms(world)


def broken(signature: bytes) -> bytes:
    """Return it with one byte changed, in the middle; in an armored one not a line break, which means nothing."""
    place = len(signature) // 2
    while signature[place : place + 1] == b"\n":
        place += 1
    return signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]


@pytest.mark.parametrize(
    ("place", "algorithm"),
    [
        *(("memory", algorithm) for algorithm in PKIX_ALGORITHMS),
        *(("kms", algorithm) for algorithm in KMS_WORDS),
        *(("files", algorithm) for algorithm in (*PKIX_ALGORITHMS, OPENPGP)),
    ],
    indirect=["place"],
)
async def test_a_signature_verifies_with_the_public_half(place: Place, algorithm: str, tmp_path: Path) -> None:
    """The public half names the key and the algorithm, and verifies what the key signed: others say so, and so do we.

    One byte of the payload or of the signature changed, and all refuse it.
    """
    key = await place.make(algorithm)
    public = await place.keys.public_key(key)
    signature = await place.keys.sign(key, PAYLOAD, timeout=60)

    assert (public.id, public.algorithm) == (place.id_of(key, public), algorithm)
    for payload, signed, expected in (
        (PAYLOAD, signature, True),
        (PAYLOAD.replace(b"c", b"d", 1), signature, False),
        (PAYLOAD, broken(signature), False),
    ):
        assert holds(public, payload, signed, tmp_path) is expected
        assert is_signature_of(public, signed, payload) is expected


async def test_a_missing_key_is_not_found(place: Place) -> None:
    """Neither read nor used."""
    with pytest.raises(NotFound, match="missing"):
        await place.keys.public_key(place.missing)
    with pytest.raises(NotFound, match="missing"):
        await place.keys.sign(place.missing, PAYLOAD, timeout=30)


async def test_a_key_that_was_taken_away_is_refused(place: Place) -> None:
    """The public half is refused as well, so that it is noticed before anything else is done."""
    key = await place.make("ECDSA_P256_SHA256")
    await place.take_away(key)

    with pytest.raises(PermanentError):
        await place.keys.public_key(key)
    with pytest.raises(PermanentError):
        await place.keys.sign(key, PAYLOAD, timeout=30)


async def test_a_key_that_was_taken_away_after_it_was_read_signs_no_more(place: Place) -> None:
    """What is cached of a key does not keep it alive."""
    key = await place.make("ECDSA_P256_SHA256")
    await place.keys.public_key(key)
    await place.take_away(key)

    with pytest.raises(PermanentError):
        await place.keys.sign(key, PAYLOAD, timeout=30)
