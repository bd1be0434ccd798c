"""ML-DSA-65 in Cloud KMS: another format of the public half, and data in place of a digest."""

from types import SimpleNamespace
from typing import Any

import google_crc32c
import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from workers.adapters.google.kms import KmsSigningKeys
from workers.failures import Invalid, Unavailable

KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
PRIVATE = MLDSA65PrivateKey.generate()
RAW = PRIVATE.public_key().public_bytes_raw()


class Answering:
    """A connection that answers as Cloud KMS does for a post-quantum key."""

    def __init__(self, raw: bytes = RAW, *, is_damaged: bool = False, is_disabled: bool = False) -> None:
        self.raw = raw
        self.is_damaged, self.is_disabled = is_damaged, is_disabled
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def prepare(self, *_: object) -> None:
        """Need nothing."""

    async def call(self, _: object, method: str, request: Any, **__: object) -> Any:
        """Answer."""
        self.asked.append((method, request))
        if method == "get_public_key":
            if self.is_disabled or request.get("public_key_format") != "NIST_PQC":
                raise Invalid("disabled" if self.is_disabled else "a format has to be named")
            half = SimpleNamespace(data=self.raw, crc32c_checksum=google_crc32c.value(self.raw) + self.is_damaged)
            return SimpleNamespace(pem="", public_key=half, algorithm=SimpleNamespace(name="PQ_SIGN_ML_DSA_65"))
        signature = PRIVATE.sign(request["data"])
        return SimpleNamespace(
            name=KEY,
            signature=signature,
            signature_crc32c=google_crc32c.value(signature),
            verified_data_crc32c=request["data_crc32c"] == google_crc32c.value(request["data"]),
            verified_digest_crc32c=False,
        )


def keys(connection: Answering) -> KmsSigningKeys:
    """Return the adapter on it."""
    return KmsSigningKeys(connection)  # type: ignore[arg-type]  # it answers all that is used


async def test_the_public_half_becomes_a_pem_and_the_payload_itself_is_signed() -> None:
    """An attestor wants a SubjectPublicKeyInfo; the bytes that arrive at Cloud KMS are those of the payload."""
    connection = Answering()
    signature = await keys(connection).sign(KEY, b"payload", timeout=1)
    public = await keys(connection).public_key(KEY)

    assert public.algorithm == "ML_DSA_65"
    load_pem_public_key(public.pem.encode()).verify(signature, b"payload")  # type: ignore[union-attr,call-arg]  # it is one of ML-DSA
    (sent,) = [request for method, request in connection.asked if method == "asymmetric_sign"]
    assert sent == {"name": KEY, "data": b"payload", "data_crc32c": google_crc32c.value(b"payload")}


async def test_a_damaged_public_half_is_asked_for_again() -> None:
    """Its checksum stands beside it."""
    with pytest.raises(Unavailable, match="sent a damaged public key"):
        await keys(Answering(is_damaged=True)).public_key(KEY)


async def test_a_public_half_of_a_wrong_length_is_refused() -> None:
    """It is whole, and yet no such key."""
    with pytest.raises(Invalid, match="a public half of 3 bytes, which is none of ML-DSA-65"):
        await keys(Answering(b"abc")).public_key(KEY)


async def test_the_first_refusal_is_the_one_that_is_told() -> None:
    """To ask in the other format is our own idea: a disabled key is told as if it had been asked for once."""
    connection = Answering(is_disabled=True)
    with pytest.raises(Invalid, match="disabled"):
        await keys(connection).public_key(KEY)

    assert len(connection.asked) == 2
