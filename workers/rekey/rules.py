"""Pure decisions of a rotation: which key replaces which, what the attestor lists of them, when to look again.

Source: Binary Authorization's quotas (100 requests a minute), of which one image takes about three validations.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from workers.attestors.listing import entries_of, natural_id
from workers.failures import Invalid, Unavailable
from workers.ports import AttestorRecord, PublicKey
from workers.rotation import RotationPace
from workers.signing import SigningRules

SECONDS_PER_IMAGE = 1.8
"""Three validations at 100 a minute: the old attestation, the new one, and its proof."""
AT_ONCE = 300
"""Attestations asked for in one look. What is asked for already is not asked for twice within the half hour for which
the bus knows its events, so no more than these wait there."""
NAMED = 10
"""Images that a sentence names."""


@dataclass(frozen=True, slots=True)
class Succession:
    """A signing key and the one that takes its place, by their references in the signing rules."""

    key: str
    next_key: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A succession with the public halves of its keys."""

    succession: Succession
    old: PublicKey | None
    """None when the old key cannot be read any more: it may be disabled already."""
    new: PublicKey


@dataclass(frozen=True, slots=True)
class Change:
    """What an attestor lists of a rotation, by the ids of its keys."""

    old: frozenset[str]
    new: frozenset[str]
    """The new keys, those that are not listed yet included."""
    add: tuple[PublicKey, ...] = ()
    """What is to be listed yet."""


def successions(rules: SigningRules, attestor: str) -> tuple[Succession, ...]:
    """Return what the signing rules want to be replaced, each once. Raises Invalid, saying what to write."""
    mine = [rule for rule in rules.rules if rule.attestor == attestor]
    if not mine:
        raise Invalid(f"no signing rule names the attestor {attestor}: its keys are not ours to rotate")
    found = tuple(dict.fromkeys(Succession(rule.key, rule.next_key) for rule in mine if rule.next_key))
    if not found:
        raise Invalid(f"no signing rule for {attestor} names a next_key: write there which key replaces its key")
    going, coming = {one.key for one in found}, {one.next_key for one in found}
    if going & coming:
        raise Invalid(
            f"the signing rules for {attestor} want a key both to come and to go: rotate one succession at a time"
        )
    for rule in mine:
        if rule.next_key is None and rule.key in going:
            raise Invalid(
                f"signing rule {rule.number} ({rule.match}) goes on signing for {attestor} with a key that another rule"
                " replaces: give it the same next_key"
            )
    return found


def change_of(record: AttestorRecord, pairs: Iterable[Pair]) -> Change:
    """Return what the attestor lists of these keys, and what it lacks. Raises Invalid, saying what to do."""
    old: set[str] = set()
    new: set[str] = set()
    add: dict[str, PublicKey] = {}
    for pair in pairs:
        going = _ids_of_old(record, pair)
        coming = entries_of(pair.new, record.keys)
        usable = {key.id for key in coming if key.algorithm == pair.new.algorithm}
        if going & {key.id for key in coming}:
            raise Invalid(f"key and next_key of {record.name} are one and the same key: name another next_key")
        if coming and not usable:
            raise Invalid(
                f"attestor {record.name} lists the next key as {coming[0].algorithm}, but it signs with"
                f" {pair.new.algorithm}: list it with {pair.new.algorithm}"
            )
        if not coming:
            key = _entry(record, pair, going)
            add[key.id] = key
            usable = {key.id}
        old |= going
        new |= usable
    return Change(frozenset(old), frozenset(new), tuple(add.values()))


def _ids_of_old(record: AttestorRecord, pair: Pair) -> set[str]:
    if pair.old is not None:
        return {key.id for key in entries_of(pair.old, record.keys)}
    return {key.id for key in record.keys if key.id == natural_id(pair.succession.key)}


def _entry(record: AttestorRecord, pair: Pair, going: set[str]) -> PublicKey:
    """Return the entry to add for a new key. Raises Invalid where that would be no succession."""
    if not going:
        raise Invalid(
            f"attestor {record.name} lists neither the key {pair.succession.key} nor its next_key, so there is nothing"
            " to replace: list a key with `sealane attestor ensure`"
        )
    key = replace(pair.new, id=natural_id(pair.new.id), comment="takes the place of another key (sealane)")
    if any(listed.id == key.id for listed in record.keys):
        raise Invalid(f"attestor {record.name} lists another key under the id {key.id}: remove that one first")
    return key


def with_new(record: AttestorRecord, change: Change) -> AttestorRecord:
    """Return the attestor with the new keys beside the others."""
    there = {key.id for key in record.keys}
    return replace(record, keys=(*record.keys, *(key for key in change.add if key.id not in there)))


def without_old(record: AttestorRecord, change: Change) -> AttestorRecord:
    """Return the attestor without the old keys. Raises Unavailable when a new one is not listed (any more)."""
    if missing := change.new - {key.id for key in record.keys}:
        raise Unavailable(
            f"attestor {record.name} does not list {min(missing)} any more: the old key stays; looking again"
        )
    return replace(record, keys=tuple(key for key in record.keys if key.id not in change.old))


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: images in all, attested by the new keys, proven, and how quickly more are attested."""

    at: datetime
    total: int
    signed: int
    proven: int
    per_second: float = 0.0
    """Images attested since the last look; 0 while nobody knows."""
    stalled: bool = False
    """Whether nothing was attested for a good while, although it was asked for."""

    @property
    def remaining(self) -> timedelta:
        """Return about how long it takes yet, by what was seen, else by the quota."""
        signing = (self.total - self.signed) / self.per_second if self.per_second else 0.0
        if not self.per_second:
            signing = (self.total - self.signed) * SECONDS_PER_IMAGE
        return timedelta(seconds=signing + (self.signed - self.proven) * SECONDS_PER_IMAGE / 3)

    @property
    def sentence(self) -> str:
        """How far it is, for people."""
        done = f"{self.proven} of {self.total} images verified with the new key"
        if self.proven >= self.total:
            return done
        if self.signed > self.proven:
            done += f" and {self.signed - self.proven} attested by it"
        return f"{done}, done about {self.at + self.remaining:%H:%M} UTC"


def next_look(look: Look, last_wait: timedelta, pace: RotationPace) -> timedelta:
    """Return how long to wait: half of what it takes yet at most, and ever longer while nothing happens."""
    wanted = 2 * last_wait
    if look.per_second:
        # Before what was asked for is all done, or there would be nothing to do.
        wanted = min(look.remaining / 2, timedelta(seconds=0.7 * AT_ONCE / look.per_second))
    return min(max(wanted, pace.soonest), pace.latest)


def deadline(total: int, pace: RotationPace) -> timedelta:
    """Return how long a rotation of so many images may take."""
    return pace.patience + timedelta(seconds=total * SECONDS_PER_IMAGE)


def named(images: Sequence[str]) -> str:
    """Return the first of the images and how many more there are."""
    rest = len(images) - NAMED
    return ", ".join(images[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
