"""Attestations: the keys that sign, the attestors that judge, the notes that they hang on."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of an attestor or of a signing key."""

    id: str
    """As the attestor lists it; for a signing key, its resource name in Cloud KMS, `ni:///sha-256;…` (PKIX), or the
    upper-case V4 fingerprint (OpenPGP)."""
    algorithm: str
    """Binary Authorization's PKIX word, e.g. ECDSA_P256_SHA256, or OPENPGP."""
    pem: str
    """SubjectPublicKeyInfo as PEM, or the armored OpenPGP public key."""
    comment: str = ""
    """What an attestor says of it to people."""


@dataclass(frozen=True, slots=True)
class Attestor:
    """A Binary Authorization attestor: a note, and the keys whose signatures count."""

    name: str
    """projects/P/attestors/A"""
    note: str
    """projects/P/notes/N"""
    keys: tuple[PublicKey, ...]


@dataclass(frozen=True, slots=True)
class Attestation:
    """An attestation as stored, or about to be: the exact signed bytes and one signature over them."""

    note: str
    resource_uri: str
    """`https://HOST/PATH@sha256:…`; gcloud writes it without the scheme."""
    payload: bytes
    key_id: str
    signature: bytes
    name: str | None = None
    """projects/P/occurrences/ID once stored."""
    created_at: datetime | None = None

    @property
    def digest(self) -> str:
        """The digest that the attestation is about: matching is by digest, never by path."""
        return self.resource_uri.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Binary Authorization says of an attestation."""

    result: Literal["VERIFIED", "ATTESTATION_NOT_VERIFIABLE"]
    reason: str = ""


class SigningKeys(Protocol):
    """Keys that sign and never leave their place. `key` is a reference: a Cloud KMS key version, for instance."""

    async def public_key(self, key: str) -> PublicKey:
        """Return the public half (cached). Raises NotFound, Denied, Invalid (disabled, or cannot sign), Unavailable."""

    async def sign(self, key: str, payload: bytes, *, timeout: float) -> bytes:
        """Sign the payload and return the raw signature, after both checksums were verified."""


class Attestors(Protocol):
    """Binary Authorization's attestors."""

    async def get(self, name: str) -> Attestor:
        """Return an attestor (cached: the quota is 100 reads a minute). Raises NotFound, Denied, Unavailable."""

    async def validate(self, attestor: str, attestation: Attestation, *, timeout: float) -> Verdict:
        """Ask whether the attestation would be accepted. It need not be stored."""


class Attestations(Protocol):
    """Artifact Analysis, as the store of attestations."""

    read_lag: timedelta
    """How long a list may lack what was just created."""

    async def find(self, note: str, digest: str) -> tuple[Attestation, ...]:
        """Return all attestations of a note about a digest, oldest first, in whichever resource form."""

    async def create(self, project: str, attestation: Attestation, *, timeout: float) -> Attestation:
        """Store an attestation in a project (`projects/P`) and return it with its name."""

    async def delete(self, name: str) -> None:
        """Remove one; gone already is fine."""

    async def get(self, name: str) -> tuple[Attestation, ...]:
        """Return what is stored under a name, one for each signature.

        Raises NotFound, Invalid (it is no attestation), Denied, Unavailable.
        """

    def of_note(self, note: str, *, since: datetime | None = None) -> AsyncIterator[Attestation]:
        """Yield all attestations of a note, made at or after a time, in no order, from the store page by page.

        One made or removed meanwhile may be missing or there. Raises NotFound, Denied, Unavailable, QuotaExhausted.
        """
