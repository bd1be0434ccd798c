"""Artifact Analysis in memory, as the store of attestations, with its read lag."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from tests.fakes.clock import FakeClock
from workers.failures import NotFound, Unavailable
from workers.ports import Attestation


class FakeAttestations:
    """Keeps what is created, and lists it only after the read lag."""

    def __init__(
        self, clock: FakeClock, *, read_lag: timedelta = timedelta(seconds=5), notes: set[str] | None = None
    ) -> None:
        self.read_lag = read_lag
        self.clock = clock
        self.notes = notes
        """The notes that exist; None for any."""
        self.stored: dict[str, Attestation] = {}
        self._numbers = count(1)
        self.refuse_repeats = False
        """Whether a second one with the same note, key id and digest is answered like ALREADY_EXISTS."""

    async def find(self, note: str, digest: str) -> tuple[Attestation, ...]:
        """Return those that are old enough to be seen, oldest first."""
        return tuple(one for one in self._visible(note) if one.digest == digest)

    async def get(self, name: str) -> tuple[Attestation, ...]:
        """Return the one of this name, as soon as it was created."""
        if name not in self.stored:
            raise NotFound(f"there is no attestation {name}")
        return (self.stored[name],)

    async def of_note(self, note: str, *, since: datetime | None = None) -> AsyncIterator[Attestation]:
        """Yield those that are old enough to be seen, as they were when the first was asked for."""
        for one in self._visible(note):
            if since is None or (one.created_at is not None and one.created_at >= since):
                yield one

    async def create(self, project: str, attestation: Attestation, *, timeout: float) -> Attestation:
        """Store it, for good."""
        self._require(attestation.note)
        if self.refuse_repeats and any(same(one, attestation) for one in self.stored.values()):
            raise Unavailable("it exists already, as is seen after the read lag")
        name = f"{project}/occurrences/{next(self._numbers):08d}"
        self.stored[name] = replace(attestation, name=name, created_at=self.clock.now())
        return self.stored[name]

    async def delete(self, name: str) -> None:
        """Remove it, if it is there."""
        self.stored.pop(name, None)

    def _visible(self, note: str) -> tuple[Attestation, ...]:
        self._require(note)
        visible = self.clock.now() - self.read_lag
        return tuple(
            one
            for one in self.stored.values()
            if one.note == note and one.created_at is not None and one.created_at <= visible
        )

    def _require(self, note: str) -> None:
        if self.notes is not None and note not in self.notes:
            raise NotFound(f"there is no note {note}")


def same(one: Attestation, other: Attestation) -> bool:
    """Whether two attestations say the same with the same key."""
    return (one.note, one.key_id, one.digest) == (other.note, other.key_id, other.digest)
