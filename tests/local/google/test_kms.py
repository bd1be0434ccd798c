"""Cloud KMS: rings, keys, versions with their states, public keys and signatures."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import google_crc32c
import pytest
from google.api_core import exceptions

from tests.local.google.clients import Clients
from tests.local.google.scenes import KEY, RING, VERSION, make_key

LOCATION = RING.split("/keyRings/", maxsplit=1)[0]
MESSAGE = b"what is signed"
OPENSSL_PSS = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]


def digest_of(algorithm: str) -> dict[str, bytes]:
    """Return the digest field that an algorithm signs."""
    kind = algorithm.rsplit("_", 1)[1].lower()
    return {kind: hashlib.new(kind, MESSAGE).digest()}


def openssl_accepts(directory: Path, pem: str, signature: bytes, algorithm: str) -> bool:
    """Tell whether the openssl program verifies a signature over MESSAGE."""
    for name, content in (("key.pem", pem.encode()), ("signature", signature), ("message", MESSAGE)):
        (directory / name).write_bytes(content)
    options = OPENSSL_PSS if "PSS" in algorithm else []
    hashed = "-" + algorithm.rsplit("_", 1)[1].lower()
    command = ["openssl", "dgst", hashed, *options, "-verify", "key.pem", "-signature", "signature", "message"]
    return subprocess.run(command, cwd=directory, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "algorithm",
    [
        "EC_SIGN_P256_SHA256",
        "EC_SIGN_P384_SHA384",
        "RSA_SIGN_PKCS1_2048_SHA256",
        "RSA_SIGN_PKCS1_4096_SHA512",
        "RSA_SIGN_PSS_2048_SHA256",
        "RSA_SIGN_PSS_3072_SHA256",
    ],
)
async def test_a_signature_is_one_that_openssl_verifies(over_grpc: Clients, tmp_path: Path, algorithm: str) -> None:
    """The public key and the signature fit outside of this program."""
    version = await make_key(over_grpc, algorithm)
    public = await over_grpc.kms.get_public_key(name=version)
    answer = await over_grpc.kms.asymmetric_sign(name=version, digest=digest_of(algorithm))

    assert public.algorithm.name == algorithm
    assert openssl_accepts(tmp_path, public.pem, answer.signature, algorithm)
    assert not openssl_accepts(tmp_path, public.pem, answer.signature[::-1], algorithm)


async def test_checksums_are_verified_and_given(clients: Clients) -> None:
    """A sent CRC32C is confirmed, and signature and public key carry their own."""
    await make_key(clients)
    digest = hashlib.sha256(MESSAGE).digest()
    request = {"digest": {"sha256": digest}, "digest_crc32c": {"value": google_crc32c.value(digest)}}
    answer = await clients.kms.asymmetric_sign(name=VERSION, **request)
    public = await clients.kms.get_public_key(name=VERSION)

    assert answer.verified_digest_crc32c
    assert not answer.verified_data_crc32c
    assert answer.name == VERSION
    assert answer.signature_crc32c == google_crc32c.value(answer.signature)
    assert public.pem_crc32c == google_crc32c.value(public.pem.encode())
    assert public.name == VERSION


async def test_data_is_signed_like_its_digest(over_grpc: Clients, tmp_path: Path) -> None:
    """AsymmetricSign hashes what comes as data."""
    await make_key(over_grpc)
    crc = {"value": google_crc32c.value(MESSAGE)}
    answer = await over_grpc.kms.asymmetric_sign(name=VERSION, data=MESSAGE, data_crc32c=crc)
    public = await over_grpc.kms.get_public_key(name=VERSION)

    assert answer.verified_data_crc32c
    assert openssl_accepts(tmp_path, public.pem, answer.signature, "EC_SIGN_P256_SHA256")


@pytest.mark.parametrize(
    ("request_part", "sentence"),
    [
        ({"digest": {"sha384": b"0" * 48}}, "signs sha256 digests, not sha384"),
        ({"digest": {"sha256": b"0" * 31}}, "31 bytes, not 32"),
        ({"digest": {"sha256": b"0" * 32}, "digest_crc32c": {"value": 1}}, "checksum in field digest_crc32c"),
        ({"digest": {"sha256": b"0" * 32}, "data": b"x"}, "Exactly one of digest and data"),
        ({}, "Exactly one of digest and data"),
        ({"data": b"x" * 70_000}, "at most 65536"),
        ({"data": b"x", "digest_crc32c": {"value": 1}}, "digest_crc32c is set, but digest is not"),
    ],
)
async def test_what_cannot_be_signed_is_refused(clients: Clients, request_part: dict[str, Any], sentence: str) -> None:
    """A wrong digest, checksum or combination is INVALID_ARGUMENT with a sentence that says so."""
    await make_key(clients)
    with pytest.raises(exceptions.BadRequest, match=sentence):
        await clients.kms.asymmetric_sign(name=VERSION, **request_part)


async def test_a_disabled_version_does_not_sign_until_enabled(clients: Clients) -> None:
    """FAILED_PRECONDITION names the version and its state."""
    await make_key(clients)
    digest = {"sha256": b"0" * 32}
    mask = {"paths": ["state"]}
    disabled = {"name": VERSION, "state": "DISABLED"}
    version = await clients.kms.update_crypto_key_version(crypto_key_version=disabled, update_mask=mask)

    assert version.state.name == "DISABLED"
    sentence = f"{VERSION} is not enabled, current state is: DISABLED."
    with pytest.raises(exceptions.BadRequest, match=sentence):
        await clients.kms.asymmetric_sign(name=VERSION, digest=digest)
    with pytest.raises(exceptions.BadRequest, match=sentence):
        await clients.kms.get_public_key(name=VERSION)

    enabled = {"name": VERSION, "state": "ENABLED"}
    await clients.kms.update_crypto_key_version(crypto_key_version=enabled, update_mask=mask)
    assert (await clients.kms.asymmetric_sign(name=VERSION, digest=digest)).signature


async def test_destruction_is_scheduled_and_can_be_undone(clients: Clients) -> None:
    """A version to be destroyed is restored as disabled."""
    await make_key(clients)
    scheduled = await clients.kms.destroy_crypto_key_version(name=VERSION)
    restored = await clients.kms.restore_crypto_key_version(name=VERSION)

    assert scheduled.state.name == "DESTROY_SCHEDULED"
    assert scheduled.destroy_time > scheduled.create_time
    assert restored.state.name == "DISABLED"


async def test_destroyed_key_material_is_gone(over_grpc: Clients) -> None:
    """When the delay has passed, the version is DESTROYED and cannot come back."""
    await make_key(over_grpc)
    key = {"purpose": "ASYMMETRIC_SIGN", "version_template": {"algorithm": "EC_SIGN_P256_SHA256"}}
    key["destroy_scheduled_duration"] = {"nanos": 1000}
    await over_grpc.kms.create_crypto_key(parent=RING, crypto_key_id="brief", crypto_key=key)
    name = f"{RING}/cryptoKeys/brief/cryptoKeyVersions/1"
    await over_grpc.kms.destroy_crypto_key_version(name=name)

    assert (await over_grpc.kms.get_crypto_key_version(name=name)).state.name == "DESTROYED"
    with pytest.raises(exceptions.FailedPrecondition, match="not scheduled for destruction"):
        await over_grpc.kms.restore_crypto_key_version(name=name)


async def test_versions_are_numbered_and_listed_in_pages(clients: Clients) -> None:
    """A key's versions count from one, and a pager walks over all of them."""
    await make_key(clients)
    for _ in range(2):
        await clients.kms.create_crypto_key_version(parent=KEY)
    versions = await clients.kms.list_crypto_key_versions(parent=KEY, page_size=2)

    assert [version.name for version in versions] == [f"{KEY}/cryptoKeyVersions/{number}" for number in (1, 2, 3)]


async def test_labels_of_a_key_can_change(clients: Clients) -> None:
    """UpdateCryptoKey changes what its mask names, and nothing else."""
    await make_key(clients)
    wanted = {"name": KEY, "labels": {"team": "build"}}
    key = await clients.kms.update_crypto_key(crypto_key=wanted, update_mask={"paths": ["labels"]})

    assert dict(key.labels) == {"team": "build"}
    assert key.version_template.algorithm.name == "EC_SIGN_P256_SHA256"


async def test_names_are_taken_once(clients: Clients) -> None:
    """A second ring or key of a name conflicts."""
    await make_key(clients)
    with pytest.raises(exceptions.Conflict, match=f"KeyRing {RING} already exists"):
        await clients.kms.create_key_ring(parent=LOCATION, key_ring_id="ring")
    with pytest.raises(exceptions.Conflict, match=f"CryptoKey {KEY} already exists"):
        await make_key(clients)


@pytest.mark.parametrize(
    ("key", "error", "sentence"),
    [
        ({"version_template": {"algorithm": "EC_SIGN_P256_SHA256"}}, exceptions.InvalidArgument, "purpose is not set"),
        (
            {"purpose": "ENCRYPT_DECRYPT", "version_template": {"algorithm": "EC_SIGN_P256_SHA256"}},
            exceptions.InvalidArgument,
            "EC_SIGN_P256_SHA256 is not allowed with purpose ENCRYPT_DECRYPT",
        ),
        (
            {"purpose": "ASYMMETRIC_SIGN", "version_template": {"algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION"}},
            exceptions.InvalidArgument,
            "GOOGLE_SYMMETRIC_ENCRYPTION is not allowed with purpose ASYMMETRIC_SIGN",
        ),
        ({"purpose": "ASYMMETRIC_SIGN"}, exceptions.InvalidArgument, "is not allowed with purpose ASYMMETRIC_SIGN"),
        (
            {"purpose": "ASYMMETRIC_SIGN", "rotation_period": {"seconds": 86400}},
            exceptions.InvalidArgument,
            "rotation_period may only be set",
        ),
        ({"purpose": "MAC"}, exceptions.MethodNotImplemented, "Purpose MAC is not served"),
    ],
)
async def test_illegal_keys_are_refused(
    over_grpc: Clients, key: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    """Purpose and algorithm must go together."""
    await make_key(over_grpc)
    with pytest.raises(error, match=sentence):
        await over_grpc.kms.create_crypto_key(parent=RING, crypto_key_id="other", crypto_key=key)


@pytest.mark.parametrize("ring_id", ["", "a b", "x" * 64, "ring/../other"])
async def test_bad_ids_are_refused(over_grpc: Clients, ring_id: str) -> None:
    """An id outside of the documented alphabet is INVALID_ARGUMENT."""
    with pytest.raises(exceptions.InvalidArgument, match="key_ring_id"):
        await over_grpc.kms.create_key_ring(parent=LOCATION, key_ring_id=ring_id)


async def test_what_is_not_there_is_not_found(clients: Clients) -> None:
    """NOT_FOUND names the missing resource, also when it is the parent."""
    with pytest.raises(exceptions.NotFound, match=f"CryptoKeyVersion {VERSION} not found"):
        await clients.kms.get_public_key(name=VERSION)
    with pytest.raises(exceptions.NotFound, match=f"KeyRing {RING} not found"):
        await clients.kms.list_crypto_keys(parent=RING)
