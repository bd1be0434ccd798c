"""Cloud KMS with ML-DSA-65: keys, public keys in their formats, and signatures over data."""

from typing import Any

import aiohttp
import google_crc32c
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import mldsa
from google.api_core import exceptions

from tests.local.google.clients import TOKEN, Clients
from tests.local.google.scenes import KEY, RING, VERSION, make_key
from workers.local.google import GoogleServices

ML_DSA = "PQ_SIGN_ML_DSA_65"
MESSAGE = b"what is signed"


async def public_key(clients: Clients, name: str = VERSION) -> mldsa.MLDSA65PublicKey:
    """Return a version's public key, read from NIST's form."""
    answer = await clients.kms.get_public_key(name=name, public_key_format="NIST_PQC")
    return mldsa.MLDSA65PublicKey.from_public_bytes(answer.public_key.data)


async def test_data_is_signed_whole(clients: Clients) -> None:
    """The signature is FIPS 204's over the data, and both checksums are confirmed or given."""
    await make_key(clients, ML_DSA)
    crc = {"value": google_crc32c.value(MESSAGE)}
    answer = await clients.kms.asymmetric_sign(name=VERSION, data=MESSAGE, data_crc32c=crc)
    public = await public_key(clients)
    public.verify(answer.signature, MESSAGE)

    assert answer.verified_data_crc32c
    assert not answer.verified_digest_crc32c
    assert answer.signature_crc32c == google_crc32c.value(answer.signature)
    with pytest.raises(InvalidSignature):
        public.verify(answer.signature, MESSAGE + b".")


@pytest.mark.parametrize(
    ("request_part", "sentence"),
    [
        ({"digest": {"sha256": b"0" * 32}}, "signs data, not digests"),
        ({"digest": {"sha512": b"0" * 64}}, "signs data, not digests"),
        ({"data": MESSAGE, "data_crc32c": {"value": 1}}, "checksum in field data_crc32c"),
        ({"data": MESSAGE, "digest": {"sha256": b"0" * 32}}, "Exactly one of digest and data"),
    ],
)
async def test_a_digest_or_a_wrong_checksum_is_refused(
    clients: Clients, request_part: dict[str, Any], sentence: str
) -> None:
    """Nothing but data with its own checksum is signed."""
    await make_key(clients, ML_DSA)
    with pytest.raises(exceptions.BadRequest, match=sentence):
        await clients.kms.asymmetric_sign(name=VERSION, **request_part)


async def test_the_public_key_comes_in_the_format_that_is_named(clients: Clients) -> None:
    """NIST's bare bytes without PEM; PEM and DER of the same key."""
    await make_key(clients, ML_DSA)
    bare = await clients.kms.get_public_key(name=VERSION, public_key_format="NIST_PQC")
    pem = await clients.kms.get_public_key(name=VERSION, public_key_format="PEM")
    der = await clients.kms.get_public_key(name=VERSION, public_key_format="DER")

    assert bare.algorithm.name == ML_DSA
    assert bare.public_key_format.name == "NIST_PQC"
    assert (bare.pem, len(bare.public_key.data)) == ("", 1952)
    assert bare.public_key.crc32c_checksum == google_crc32c.value(bare.public_key.data)
    assert serialization.load_pem_public_key(pem.public_key.data) == await public_key(clients)
    assert serialization.load_der_public_key(der.public_key.data) == await public_key(clients)


@pytest.mark.parametrize(
    ("algorithm", "form", "sentence"),
    [
        (ML_DSA, "PUBLIC_KEY_FORMAT_UNSPECIFIED", "public_key_format is not set"),
        (ML_DSA, "XWING_RAW_BYTES", "XWING_RAW_BYTES does not go with"),
        ("EC_SIGN_P256_SHA256", "NIST_PQC", "NIST_PQC does not go with"),
    ],
)
async def test_a_format_that_the_key_does_not_have_is_refused(
    clients: Clients, algorithm: str, form: str, sentence: str
) -> None:
    """A post-quantum key has no default format, and the others have no format of NIST's."""
    await make_key(clients, algorithm)
    with pytest.raises(exceptions.BadRequest, match=sentence):
        await clients.kms.get_public_key(name=VERSION, public_key_format=form)


async def test_a_key_is_rotated_by_a_new_version(over_grpc: Clients) -> None:
    """A second version signs with a key of its own while the first is disabled, and then destroyed."""
    await make_key(over_grpc, ML_DSA)
    second = await over_grpc.kms.create_crypto_key_version(parent=KEY)
    disabled = {"name": VERSION, "state": "DISABLED"}
    await over_grpc.kms.update_crypto_key_version(crypto_key_version=disabled, update_mask={"paths": ["state"]})
    signature = (await over_grpc.kms.asymmetric_sign(name=second.name, data=MESSAGE)).signature
    (await public_key(over_grpc, second.name)).verify(signature, MESSAGE)

    assert second.algorithm.name == ML_DSA
    with pytest.raises(exceptions.FailedPrecondition, match="is not enabled, current state is: DISABLED"):
        await over_grpc.kms.asymmetric_sign(name=VERSION, data=MESSAGE)
    assert (await over_grpc.kms.destroy_crypto_key_version(name=VERSION)).state.name == "DESTROY_SCHEDULED"


async def test_an_elliptic_key_can_be_followed_by_a_post_quantum_one(over_grpc: Clients) -> None:
    """The template's algorithm holds for the versions made after its change."""
    await make_key(over_grpc)
    template = {"name": KEY, "version_template": {"algorithm": ML_DSA}}
    mask = {"paths": ["version_template.algorithm"]}
    await over_grpc.kms.update_crypto_key(crypto_key=template, update_mask=mask)
    second = await over_grpc.kms.create_crypto_key_version(parent=KEY)

    assert second.algorithm.name == ML_DSA
    assert (await over_grpc.kms.get_public_key(name=VERSION)).algorithm.name == "EC_SIGN_P256_SHA256"


async def test_cloud_kms_has_no_p521(google: GoogleServices, over_grpc: Clients) -> None:
    """Its API does not know the algorithm that Binary Authorization accepts from elsewhere."""
    await make_key(over_grpc)
    url = f"http://127.0.0.1:{google.rest_port}/v1/{RING}/cryptoKeys?cryptoKeyId=wide"
    body = {"purpose": "ASYMMETRIC_SIGN", "versionTemplate": {"algorithm": "EC_SIGN_P521_SHA512"}}
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
        session.post(url, json=body) as answer,
    ):
        error = (await answer.json())["error"]

    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert "EC_SIGN_P521_SHA512" in error["message"]


@pytest.mark.parametrize("algorithm", ["PQ_SIGN_SLH_DSA_SHA2_128S", "PQ_SIGN_ML_DSA_44", "EC_SIGN_SECP256K1_SHA256"])
async def test_algorithms_that_no_attestor_accepts_are_not_served(over_grpc: Clients, algorithm: str) -> None:
    """They are named as missing here rather than as wrong."""
    with pytest.raises(exceptions.MethodNotImplemented, match=f"Algorithm {algorithm} is not served"):
        await make_key(over_grpc, algorithm)
