"""SigningKeys on Cloud KMS: https://cloud.google.com/kms/docs/reference/rpc/google.cloud.kms.v1.

Checksums go both ways (https://cloud.google.com/kms/docs/data-integrity-guidelines): what was damaged on the way is
asked for again, never used. Post-quantum keys differ twice: they sign the data instead of its digest, and their public
half comes in the format of NIST, which has to be asked for (`PublicKey.PublicKeyFormat` in resources.proto).
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import google_crc32c
from async_lru import alru_cache
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

from workers.adapters.google.algorithms import PKIX_WORDS, digest_name
from workers.adapters.google.connection import KMS, GoogleConnection
from workers.adapters.google.errors import Errand
from workers.adapters.keys.schemes import pem_of
from workers.failures import Invalid, Unavailable
from workers.ports import PublicKey

READ_SECONDS = 10.0
CACHE_SECONDS = 600.0
"""A key version's public half never changes; it is read again now and then to learn that it was disabled."""


class KmsSigningKeys:
    """Keys in Cloud KMS, named by key version: `projects/…/cryptoKeyVersions/N`."""

    def __init__(self, google: GoogleConnection, *, cache_seconds: float = CACHE_SECONDS) -> None:
        self._google = google
        self._cached: Callable[[str], Any] = alru_cache(maxsize=256, ttl=cache_seconds)(self._read)

    async def public_key(self, key: str) -> PublicKey:
        """Return the public half. Raises Invalid when the key is disabled, or of no use to Binary Authorization."""
        found: PublicKey = await self._cached(key)
        return found

    async def sign(self, key: str, payload: bytes, *, timeout: float) -> bytes:
        """Sign the payload (ML-DSA) or its digest, and return the raw signature (ECDSA: ASN.1 DER)."""
        digest_of = digest_name((await self.public_key(key)).algorithm)
        if digest_of is None:
            wanted, checked = {"data": payload, "data_crc32c": google_crc32c.value(payload)}, "verified_data_crc32c"
        else:
            digest = hashlib.new(digest_of, payload).digest()
            wanted = {"digest": {digest_of: digest}, "digest_crc32c": google_crc32c.value(digest)}
            checked = "verified_digest_crc32c"
        answer = await self._google.call(
            KMS,
            "asymmetric_sign",
            {"name": key, **wanted},
            errand=_errand("sign with", key, "cloudkms.cryptoKeyVersions.useToSign"),
            timeout=timeout,
        )
        _require(answer.name == key, key, "answered for another key")
        _require(getattr(answer, checked), key, "did not verify the checksum of what it signed")
        _require(answer.signature_crc32c == google_crc32c.value(answer.signature), key, "sent a damaged signature")
        return bytes(answer.signature)

    async def _read(self, key: str) -> PublicKey:
        await self._google.prepare(KMS)
        try:
            answer = await self._get_public_key(key, {})
        except Invalid as refusal:
            # Only asking tells of which kind a key is: a post-quantum one is refused unless its format is named.
            try:
                answer = await self._get_public_key(key, {"public_key_format": "NIST_PQC"})
            except Invalid:
                raise refusal from None
        word = answer.algorithm.name
        if word not in PKIX_WORDS:
            raise Invalid(
                f"the key {key} is one of {word}, which Binary Authorization does not know: name a key of one of"
                f" {', '.join(PKIX_WORDS)}"
            )
        return PublicKey(id=key, algorithm=PKIX_WORDS[word], pem=_pem(key, answer))

    async def _get_public_key(self, key: str, options: Mapping[str, str]) -> Any:
        return await self._google.call(
            KMS,
            "get_public_key",
            {"name": key, **options},
            errand=_errand("read the public key of", key, "cloudkms.cryptoKeyVersions.viewPublicKey"),
            timeout=READ_SECONDS,
        )


def _pem(key: str, answer: Any) -> str:
    """Return the public half as PEM, its checksum verified."""
    if answer.pem:
        _require(answer.pem_crc32c == google_crc32c.value(answer.pem.encode()), key, "sent a damaged public key")
        return str(answer.pem)
    raw = bytes(answer.public_key.data)
    _require(answer.public_key.crc32c_checksum == google_crc32c.value(raw), key, "sent a damaged public key")
    try:
        return pem_of(MLDSA65PublicKey.from_public_bytes(raw))
    except ValueError:
        raise Invalid(f"the key {key} has a public half of {len(raw)} bytes, which is none of ML-DSA-65") from None


def _errand(doing: str, key: str, permission: str) -> Errand:
    crypto_key, _, version = key.rpartition("/cryptoKeyVersions/")
    return Errand(
        service=KMS.title,
        doing=doing,
        resource=key,
        permission=permission,
        role="roles/cloudkms.signerVerifier",
        remedy=f"enable it with `gcloud kms keys versions enable {version} --key={crypto_key}`, if it is disabled, or"
        " name an enabled key version for asymmetric signing in the signing rule",
    )


def _require(is_right: bool, key: str, problem: str) -> None:  # noqa: FBT001 - reads as a sentence where it is used
    if not is_right:
        raise Unavailable(f"Cloud KMS {problem} ({key}); asking again")
