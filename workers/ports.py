"""All that a worker may ask of the outside world, in our own words.

A worker names a port by type in its signature and gets an adapter, or in a test a fake. Every method may raise the
errors of `workers.failures`, and no others. Times are seconds unless a `timedelta`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from workers.failures import QuotaExhausted
from workers.manifests import Manifest

Json = Mapping[str, Any]


# ── the bus ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Progress(Protocol):
    """Says what is happening, to whoever follows the run. Never awaits the bus; never say a secret."""

    def step(self, name: str) -> AbstractAsyncContextManager[None]:
        """Announce a step when it begins, and when it is done or failed with the time it took."""

    def log(self, message: str) -> None:
        """Say one line."""


class Lease(Protocol):
    """A held claim. It does not fence the outside world: check `left()` before each outside effect."""

    attempt: int
    """1 when nobody tried this before."""
    step: str | None
    """The last step that an earlier holder marked; None when nobody marked one."""

    @property
    def taken_over(self) -> bool:
        """Whether somebody began before us: the outcome is unknown, so look, wait out the read lag, then act."""

    def left(self) -> float:
        """Return the seconds for which nobody else can take this over, by our own monotonic clock."""

    async def mark(self, step: str) -> None:
        """Write down how far we are, before doing it. Raises LeaseLost."""


class Claims(Protocol):
    """Makes sure that work which must not happen twice has one owner at a time, and remembers the result."""

    async def once(self, key: str, work: Callable[[Lease], Awaitable[Json]]) -> Json:
        """Return the stored result for the key, or do the work under a lease and store what it returns.

        Waits while somebody else holds the key. Raises LeaseLost when the lease ended before the result was stored,
        and whatever the work raised.
        """

    def lease(self, key: str) -> AbstractAsyncContextManager[Lease]:
        """Hold the key while the block runs, without remembering a result."""


class Rates(Protocol):
    """The rates at which the outside admits calls: learned from its refusals, shared by all replicas of a worker."""

    async def turn(self, name: str, *, within: timedelta) -> timedelta:
        """Take the next turn and return how long until it comes: nothing while no limit is known.

        Raises QuotaExhausted, and takes none, when the next one is further away than `within`.
        """

    async def refused(self, name: str, failure: QuotaExhausted) -> None:
        """Remember what a refusal says of the limit: all replicas keep to it for a while."""


class Clock(Protocol):
    """Time as an argument, so that tests own it."""

    def now(self) -> datetime:
        """Return the current time, aware, UTC."""

    async def sleep(self, duration: timedelta) -> None:
        """Wait."""


# ── images and attestations ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """What a registry says an image reference is."""

    host: str
    path: str
    tag: str | None
    manifest: Manifest

    @property
    def digest(self) -> str:
        """Manifest digest, `sha256:…`, computed from the bytes that the registry sent."""
        return self.manifest.digest

    @property
    def media_type(self) -> str:
        """What kind of manifest it is."""
        return self.manifest.media_type

    @property
    def repository(self) -> str:
        """HOST/PATH."""
        return f"{self.host}/{self.path}"

    @property
    def uri(self) -> str:
        """HOST/PATH@DIGEST."""
        return f"{self.repository}@{self.digest}"


class Images(Protocol):
    """The registries that we are configured for."""

    async def resolve(self, reference: str) -> ResolvedImage:
        """Fetch the manifest that HOST/PATH[:TAG][@DIGEST] is, with our credentials for that host.

        Raises NotFound, Denied (also: host not listed, token realm elsewhere), Invalid (no manifest that we can read),
        Mismatch (the bytes have another digest than was said), Unavailable, QuotaExhausted.
        """


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
class AttestorRecord:
    """All that an administrator keeps of an attestor, as it is right now."""

    name: str
    """projects/P/attestors/A"""
    note: str
    """projects/P/notes/N; fixed once the attestor is made."""
    keys: tuple[PublicKey, ...] = ()
    """A key without an id gets its own: `ni:///sha-256;…`, or the fingerprint of an OpenPGP key."""
    description: str = ""
    etag: str = ""
    """Changes with every update; empty before the attestor is made."""
    service_account: str = ""
    """Who reads the note when images are admitted; Binary Authorization's to say."""


@dataclass(frozen=True, slots=True)
class Note:
    """A note of Artifact Analysis, which attestations hang on."""

    name: str
    """projects/P/notes/N"""
    kind: str
    """ATTESTATION when attestations may hang on it."""
    hint: str = ""
    """Whose attestations they are, for people."""


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

    def of_note(self, note: str, *, since: datetime | None = None) -> AsyncIterator[Attestation]:
        """Yield all attestations of a note, made at or after a time, in no order, from the store page by page.

        One made or removed meanwhile may be missing or there. Raises NotFound, Denied, Unavailable, QuotaExhausted.
        """


# ── administration ────────────────────────────────────────────────────────────────────────────────────────────────


class AttestorAdmin(Protocol):
    """Binary Authorization's attestors for who sets them up; nothing is cached.

    The quota is 100 reads, 20 updates and 10 creations a minute: QuotaExhausted says in `after` when it goes on.
    """

    async def list(self, project: str) -> tuple[AttestorRecord, ...]:
        """Return the attestors of a project (`projects/P`), by name. Raises Denied, Invalid, Unavailable."""

    async def read(self, name: str) -> AttestorRecord:
        """Return an attestor as it is now. Raises NotFound, Denied, Unavailable."""

    async def create(self, attestor: AttestorRecord, *, timeout: float) -> AttestorRecord:
        """Make an attestor and return it with its etag and the ids of its keys.

        Raises Invalid, Denied, and Unavailable also when it exists already: read it, then update.
        """

    async def update(self, attestor: AttestorRecord, *, timeout: float) -> AttestorRecord:
        """Put these keys and this description in place of those there, if the etag is still the attestor's.

        Raises NotFound, Invalid, Denied, and Unavailable also when somebody else changed it since it was read: read
        it and apply the change again (`workers.attestors.amend` does).
        """

    async def delete(self, name: str) -> None:
        """Remove an attestor, not its note; gone already is fine. Raises Denied, Unavailable."""


class Notes(Protocol):
    """Artifact Analysis's notes, as the places that attestations hang on."""

    async def get(self, name: str) -> Note:
        """Return a note as it is now. Raises NotFound, Denied, Unavailable."""

    async def create(self, note: Note, *, timeout: float) -> Note:
        """Make the note of an attestation authority; its hint may not be empty.

        Raises Invalid, Denied, and Unavailable also when it exists already: get it.
        """
