"""What one look of a rotation tells the next, written down with the lease on the attestor.

Nothing depends on it: without a journal a rotation waits once more and proves everything anew.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from schemas.identity import digest_of
from workers.rekey.rules import Change, Succession

KEPT = timedelta(hours=24)
"""A journal that nobody has written to for so long says nothing about today."""


class Removal(BaseModel):
    """What was proven, once the old keys may go."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    old: frozenset[str]
    new: frozenset[str]
    images: int
    left_out: int

    @property
    def change(self) -> Change:
        """Return the change of the attestor that this is about."""
        return Change(self.old, self.new)


class Journal(BaseModel):
    """How far a rotation is."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    about: str
    """Which succession it is about."""
    listed: AwareDatetime
    """When the new key was listed, or first seen to be."""
    marked: AwareDatetime
    """When this was written."""
    proven_until: float = 0.0
    """All attestations made earlier (Unix time) are proven."""
    moved: AwareDatetime | None = None
    """When more were attested than before, or were first asked for; None while nothing was asked for."""
    signed: int = 0
    """Images that had an attestation by a new key at the last look."""
    wait: timedelta = timedelta(0)
    """How long the last wait was to be."""
    removal: Removal | None = None

    def proven_to(self, made: float | None, horizon: datetime) -> "Journal":
        """Return the journal once all attestations made until then are proven, as far as lists show all of them."""
        if made is None:
            return self
        return self.model_copy(update={"proven_until": max(self.proven_until, min(made, horizon.timestamp()))})


def about(attestor: str, successions: Iterable[Succession]) -> str:
    """Name a rotation; references of keys are nobody's business here."""
    return digest_of(attestor, *(part for one in successions for part in (one.key, one.next_key)))


def read_journal(step: str | None, name: str, now: datetime) -> Journal | None:
    """Return the journal if it is about this rotation and not too old."""
    if step is None:
        return None
    try:
        found = Journal.model_validate_json(step)
    except ValidationError:
        return None
    return found if found.about == name and now - found.marked < KEPT else None
