"""SigningKeys on Cloud KMS: https://cloud.google.com/kms/docs/reference/rpc/google.cloud.kms.v1.

Checksums go both ways (https://cloud.google.com/kms/docs/data-integrity-guidelines): what was damaged on the way is
asked for again, never used.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import google_crc32c
from async_lru import alru_cache

from workers.adapters.google.algorithms import PKIX_WORDS, digest_name
from workers.adapters.google.connection import KMS, GoogleConnection
from workers.adapters.google.errors import Errand
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
        """Sign the payload's digest and return the raw signature (ECDSA: ASN.1 DER)."""
        digest_of = digest_name((await self.public_key(key)).algorithm)
        digest = hashlib.new(digest_of, payload).digest()
        answer = await self._google.call(
            KMS,
            "asymmetric_sign",
            {"name": key, "digest": {digest_of: digest}, "digest_crc32c": google_crc32c.value(digest)},
            errand=_errand("sign with", key, "cloudkms.cryptoKeyVersions.useToSign"),
            timeout=timeout,
        )
        _require(answer.name == key, key, "answered for another key")
        _require(answer.verified_digest_crc32c, key, "did not verify the checksum of what it signed")
        _require(answer.signature_crc32c == google_crc32c.value(answer.signature), key, "sent a damaged signature")
        return bytes(answer.signature)

    async def _read(self, key: str) -> PublicKey:
        await self._google.prepare(KMS)
        answer = await self._google.call(
            KMS,
            "get_public_key",
            {"name": key},
            errand=_errand("read the public key of", key, "cloudkms.cryptoKeyVersions.viewPublicKey"),
            timeout=READ_SECONDS,
        )
        _require(answer.pem_crc32c == google_crc32c.value(answer.pem.encode()), key, "sent a damaged public key")
        word = answer.algorithm.name
        if word not in PKIX_WORDS:
            raise Invalid(
                f"the key {key} is one of {word}, which Binary Authorization does not know: name a key of one of"
                f" {', '.join(PKIX_WORDS)}"
            )
        return PublicKey(id=key, algorithm=PKIX_WORDS[word], pem=answer.pem)


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
