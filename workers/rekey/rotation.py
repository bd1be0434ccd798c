"""The steps of a rotation. Each may be repeated, and whoever comes later sees from the outside what is done.

The order keeps every image admitted: the new key is listed; after everybody knows of it, what the old key attested is
attested anew and each attestation proven; only then the old key goes. Whatever is in doubt keeps the old key.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from schemas.attestors import AttestorRotate
from workers.attestors import amend
from workers.failures import Invalid, NotYet, PermanentError, QuotaExhausted
from workers.key_references import is_kms_key
from workers.ports import (
    Attestations,
    AttestorAdmin,
    AttestorRecord,
    Attestors,
    Clock,
    Json,
    Lease,
    Progress,
    PublicKey,
    SigningKeys,
)
from workers.rekey.journal import Journal, Removal, about, read_journal
from workers.rekey.ledger import Ledger
from workers.rekey.proof import Prover
from workers.rekey.pruning import prune
from workers.rekey.rules import (
    AT_ONCE,
    NAMED,
    Change,
    Look,
    Pair,
    Succession,
    change_of,
    deadline,
    named,
    next_look,
    successions,
    with_new,
    without_old,
)
from workers.rotation import RotationPace
from workers.signing import SigningRules

_HORIZON = timedelta(minutes=1)
"""What is younger may be joined by something older which no list showed yet: it is proven once nothing is waited for,
so that nothing needs to be proven twice."""


@dataclass(slots=True)
class Rotation:
    """One look at one rotation. `requests` holds what is to be attested when it ends early."""

    event: AttestorRotate
    admin: AttestorAdmin
    keys: SigningKeys
    attestors: Attestors
    attestations: Attestations
    rules: SigningRules
    pace: RotationPace
    clock: Clock
    progress: Progress
    requests: list[str] = field(default_factory=list)

    async def go_on(self, lease: Lease) -> Json:
        """Do what can be done now, and return the fields of `attestor.rotated`. Raises NotYet while there is more."""
        going = successions(self.rules, self.event.attestor)
        name = about(self.event.attestor, going)
        journal = read_journal(lease.step, name, self.clock.now())
        async with self.progress.step("read attestor and keys"):
            record = await self.admin.read(self.event.attestor)
            change = change_of(record, [await self._pair(one) for one in going])
        if not change.old:
            if journal is not None and journal.removal is not None:
                return await self._finished(record, journal.removal)
            return await self._nothing_to_do(record, change)
        if change.add:
            async with self.progress.step("list the new key"):
                record = await amend(self.admin, self.clock, record.name, lambda found: with_new(found, change))
            self.progress.log(f"{record.name} lists {', '.join(sorted(change.new))} now, beside the old key")
            journal = None
        now = self.clock.now()
        journal = journal or Journal(about=name, listed=now, marked=now)
        await self._settle(journal, lease)
        return await self._prove_and_remove(record, change, journal, lease)

    async def _pair(self, succession: Succession) -> Pair:
        new = await self.keys.public_key(succession.next_key)
        old: PublicKey | None = None
        try:
            old = await self.keys.public_key(succession.key)
        except PermanentError as problem:
            if not is_kms_key(succession.key):
                raise Invalid(
                    f"{problem}; so nobody can say which entry of {self.event.attestor} it is: bring it back, or remove"
                    " that entry by hand once `sealane attestor show` names no other use"
                ) from problem
            self.progress.log(f"the old key cannot be read any more, so it goes by its name: {problem}")
        return Pair(succession, old, new)

    async def _settle(self, journal: Journal, lease: Lease) -> None:
        """Wait until nobody signs with the old key any more: what is attested by then is seen by the first list."""
        await self._mark(journal, lease)
        rest = journal.listed + self.pace.settle - self.clock.now()
        if rest > timedelta(0):
            at = f"{self.clock.now() + rest:%H:%M:%S}"
            raise NotYet(
                f"the new key is listed; what the old one attested is renewed from {at} UTC on, once every worker signs"
                " with the new one",
                after=rest,
                deadline=self.pace.settle + self.pace.patience,
            )

    async def _prove_and_remove(self, record: AttestorRecord, change: Change, journal: Journal, lease: Lease) -> Json:
        ledger = await self._listed(record, change)
        prover = Prover(record, change, self.attestors, self.attestations, self.clock, self.progress)
        out_of_turn = await self._proven(ledger, prover, journal, lease)
        look = self._look(ledger, prover, journal)
        journal = journal.proven_to(prover.until, self.clock.now() - _HORIZON)
        left_out: tuple[str, ...] = ()
        if waiting := tuple(ledger.waiting(prover.refused)):
            held, left_out = await prover.examined(waiting, NAMED) if look.stalled else (waiting, ())
            if held:
                self.requests += self._requestable(ledger, waiting)
                raise await self._not_yet(self._sentence(look, ledger, held), look, journal, lease)
        if out_of_turn is not None or not prover.is_complete(ledger, journal.proven_until, left_out):
            raise await self._not_yet(look.sentence, look, journal, lease, out_of_turn)
        del ledger  # of a large note, one is enough
        again = await self._listed(record, change)
        new = set(again.waiting(prover.refused)) - set(left_out)
        if new or not prover.is_complete(again, journal.proven_until, left_out):
            raise await self._not_yet(f"{look.sentence}; some were attested meanwhile", look, journal, lease)
        removal = Removal(old=change.old, new=change.new, images=again.total - len(left_out), left_out=len(left_out))
        if left_out:
            images = named([again.image(digest) for digest in left_out])
            self.progress.log(f"left out, for the attestor accepts no attestation of them today either: {images}")
        await self._mark(journal.model_copy(update={"removal": removal}), lease)
        return await self._removed(record, removal)

    async def _listed(self, record: AttestorRecord, change: Change) -> Ledger:
        listed = [*(key.id for key in record.keys), *change.new]
        ledger = Ledger(change, listed, self.event.since, self.event.images)
        async with self.progress.step("list attestations"):
            async for attestation in self.attestations.of_note(record.note):
                ledger.add(attestation)
        if strangers := ledger.never_attested:
            raise Invalid(
                f"{record.name} has not attested {named(strangers)}: sign it first with `sealane attest`, or"
                " leave it out"
            )
        return ledger

    async def _proven(self, ledger: Ledger, prover: Prover, journal: Journal, lease: Lease) -> QuotaExhausted | None:
        """Prove what is attested, until the time is over or the quota used up. Return why it stopped, if it did."""
        before = math.inf
        if any(True for _ in ledger.waiting()):
            before = (self.clock.now() - _HORIZON).timestamp()
        async with self.progress.step("verify with the new key"):
            try:
                async for _ in prover.prove(ledger, journal.proven_until, before):
                    self.progress.log(self._look(ledger, prover, journal).sentence)
                    await self._mark(journal.proven_to(prover.until, self.clock.now() - _HORIZON), lease)
            except QuotaExhausted as problem:
                self.progress.log(str(problem))
                return problem
        return None

    def _look(self, ledger: Ledger, prover: Prover, journal: Journal) -> Look:
        now = self.clock.now()
        seconds = (now - journal.marked).total_seconds()
        more = 0 if journal.moved is None else max(0, ledger.signed - journal.signed)
        still = timedelta(0) if more or journal.moved is None else now - journal.moved
        return Look(
            at=now,
            total=ledger.total,
            signed=ledger.signed,
            proven=prover.count,
            per_second=more / seconds if seconds > 0 else 0.0,
            stalled=still >= self.pace.latest / 5,
        )

    def _requestable(self, ledger: Ledger, waiting: tuple[str, ...]) -> Iterator[str]:
        nameless = [ledger.image(digest) for digest in waiting if not ledger.can_be_named(digest)]
        if nameless:
            self.progress.log(f"cannot be asked for, since that is no HOST/PATH@DIGEST: {named(nameless)}")
        found = (ledger.image(digest) for digest in waiting if ledger.can_be_named(digest))
        return (image for image, _ in zip(found, range(AT_ONCE), strict=False))

    def _sentence(self, look: Look, ledger: Ledger, held: tuple[str, ...]) -> str:
        if not look.stalled:
            return look.sentence
        images = named([ledger.image(digest) for digest in held])
        return (
            f"{look.proven} of {look.total} images verified with the new key; nothing more was attested for a while,"
            f" and the old key stays while the others are admitted by it alone: {images}; if"
            " `sealane dead list --worker attest` has them, mend what it says and replay them; what shall not be"
            " admitted any more, delete with `sealane attestation delete`"
        )

    async def _not_yet(
        self, sentence: str, look: Look, journal: Journal, lease: Lease, out_of_turn: QuotaExhausted | None = None
    ) -> NotYet:
        """Write down how far it is, and return what to raise."""
        wait = next_look(look, journal.wait, self.pace) if self.requests else self.pace.soonest
        if out_of_turn is not None:
            wait = max(wait, out_of_turn.after)
        moved = look.at if look.per_second or journal.moved is None else journal.moved
        known = {"signed": look.signed, "moved": moved if self.requests else journal.moved, "wait": wait}
        await self._mark(journal.model_copy(update=known), lease)
        return NotYet(sentence, after=wait, deadline=deadline(look.total, self.pace))

    async def _mark(self, journal: Journal, lease: Lease) -> None:
        await lease.mark(journal.model_copy(update={"marked": self.clock.now()}).model_dump_json())

    async def _removed(self, record: AttestorRecord, removal: Removal) -> Json:
        async with self.progress.step("remove the old key"):
            record = await amend(self.admin, self.clock, record.name, lambda found: without_old(found, removal.change))
        self.progress.log(f"{record.name} lists {', '.join(sorted(removal.old))} no more")
        return await self._finished(record, removal)

    async def _finished(self, record: AttestorRecord, removal: Removal) -> Json:
        pruned = 0
        if self.event.prune:
            async with self.progress.step("delete old attestations"):
                pruned = await prune(record, removal.change, self.admin, self.attestations, self.progress)
        self.progress.log("in the signing rules, write the next_key as key when it suits you: it signs already")
        return self._result(removal.change, images=removal.images, left_out=removal.left_out, pruned=pruned)

    async def _nothing_to_do(self, record: AttestorRecord, change: Change) -> Json:
        """Answer for a rotation that is over; further images must verify with what is left."""
        prover = Prover(record, change, self.attestors, self.attestations, self.clock, self.progress)
        lost = [image for image in self.event.images if not await prover.is_verified(image.rpartition("@")[2])]
        if lost:
            raise Invalid(
                f"{record.name} lists the new key alone, and it has not attested {named(lost)}: sign what shall be"
                " admitted with `sealane attest`"
            )
        self.progress.log(f"nothing to do: {record.name} lists the new key, and the old one no more")
        return self._result(change, images=0)

    def _result(self, change: Change, *, images: int, left_out: int = 0, pruned: int = 0) -> Json:
        return {
            "attestor": self.event.attestor,
            "removed": sorted(change.old),
            "trusted": sorted(change.new),
            "images": images,
            "left_out": left_out,
            "pruned": pruned,
        }
