"""Proves image by image that Binary Authorization accepts what the new keys attested."""

import math
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from workers.failures import Invalid
from workers.ports import Attestation, Attestations, AttestorRecord, Attestors, Clock, Progress
from workers.rekey.ledger import Ledger
from workers.rekey.rules import Change

CALL_SECONDS = 10.0
SLICE = timedelta(minutes=4)
"""How long one handling proves; the rest is for the next, so that nothing waits for a worker that is to end."""
MARKED_EVERY = 50
"""Images after which it is said, and written down, how far it is."""


@dataclass(slots=True)
class Prover:
    """Asks ValidateAttestationOccurrence. What is proven counts for this handling, what is marked for the next."""

    record: AttestorRecord
    change: Change
    attestors: Attestors
    attestations: Attestations
    clock: Clock
    progress: Progress
    proven: dict[str, float] = field(default_factory=dict)
    """Digest → time of its newest attestation when it was proven."""
    refused: set[str] = field(default_factory=set)
    """Digests whose attestations by the new keys are all refused."""
    until: float | None = None
    """All attestations made earlier are proven; None while nothing was looked at."""
    before: int = 0
    """Images that earlier handlings proved."""

    @property
    def count(self) -> int:
        """How many images are proven, by earlier handlings and by this one."""
        return self.before + len(self.proven)

    async def prove(self, ledger: Ledger, since: float, before: float = math.inf) -> AsyncIterator[None]:
        """Prove what was attested from `since` to `before`, oldest first; pause now and then, and at the end.

        Ends early when its time is over. Raises QuotaExhausted, and what the ports raise.
        """
        end = self.clock.now() + SLICE
        unproven = ledger.made_since(since)
        self.before = ledger.signed - len(unproven)
        for number, (made, digest) in enumerate(unproven, start=1):
            if made > before:
                break
            if await self.is_verified(digest):
                self.proven[digest] = made
            else:
                self.refused.add(digest)
            if not self.refused:
                self.until = made
            if number % MARKED_EVERY == 0:
                yield
            if self.clock.now() >= end:
                break
        if self.proven or self.refused:
            yield

    def is_complete(self, ledger: Ledger, since: float, left_out: Collection[str] = ()) -> bool:
        """Whether everything in scope that is attested is proven, as young as it is in this ledger."""
        return all(self.proven.get(digest) == made or digest in left_out for made, digest in ledger.made_since(since))

    async def is_verified(self, digest: str) -> bool:
        """Whether one of the digest's attestations by a new key is accepted."""
        found = await self.attestations.find(self.record.note, digest)
        return await self._accepted([one for one in found if one.key_id in self.change.new])

    async def examined(self, waiting: Sequence[str], enough: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return which images an old key admits (the first few), and which nothing admits today either.

        What there is no time for counts as admitted: that keeps the old key.
        """
        end = self.clock.now() + SLICE
        held: list[str] = []
        left_out: list[str] = []
        for number, digest in enumerate(waiting):
            if self.clock.now() >= end:
                held += waiting[number : number + enough]
                break
            found = await self.attestations.find(self.record.note, digest)
            admitted = await self._accepted([one for one in found if one.key_id not in self.change.new])
            (held if admitted else left_out).append(digest)
            if len(held) >= enough:
                break
        return tuple(held), tuple(left_out)

    async def _accepted(self, found: Sequence[Attestation]) -> bool:
        for attestation in found:
            try:
                verdict = await self.attestors.validate(self.record.name, attestation, timeout=CALL_SECONDS)
            except Invalid as problem:
                self.progress.log(f"{attestation.name} does not count: {problem}")
                continue
            if verdict.result == "VERIFIED":
                return True
            self.progress.log(f"{attestation.name} does not count: {verdict.reason}")
        return False
