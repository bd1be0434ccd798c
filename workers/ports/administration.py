"""Attestors and notes, for who sets them up."""

from dataclasses import dataclass
from typing import Protocol

from workers.ports.attestations import PublicKey


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


class KeyMaker(Protocol):
    """Cloud KMS for who makes keys there; no worker does."""

    async def make(
        self, ring: str, name: str, algorithm: str, *, protection: str = "SOFTWARE", new_version: bool = False
    ) -> str:
        """Make a signing key in a ring (`projects/P/locations/L/keyRings/R`, made if missing); it can sign at once.

        Returns the name of its version. With *new_version* the key is there already and gets a further one. The
        algorithm is Binary Authorization's word, *protection* SOFTWARE or HSM. Raises Invalid (also when the key is
        there), NotFound, Denied, Unavailable.
        """
