"""What would change of an attestor, decided on what is there; nothing here asks the outside."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workers.attestors.listing import entries_of, natural_id
from workers.failures import Invalid
from workers.policy.keys import MOST_KEYS, id_problems
from workers.ports import AttestorRecord, PublicKey


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that shall be listed, once its public half was read."""

    public: PublicKey
    """With its own id."""
    id: str | None = None
    """Under which it shall be listed; None for whichever does."""
    is_chosen: bool = True
    """Whether the algorithm is what it signs with; else any that the key fits does."""
    comment: str | None = None

    def entry(self, key_id: str) -> PublicKey:
        """Return the entry of the attestor's list."""
        return replace(self.public, id=key_id, comment=self.comment or "")


@dataclass(frozen=True, slots=True)
class Change:
    """One part of what is wanted, and what became of it."""

    part: str
    """note, attestor, description, or key."""
    subject: str
    did: str
    """created, added, changed, removed, replaced; `as wanted`; or `kept` for a key that nobody wants."""
    said: str = ""


def planned(
    found: AttestorRecord, keys: Sequence[KnownKey], *, description: str | None = None, prune: bool = False
) -> tuple[AttestorRecord, list[Change]]:
    """Return the attestor as it shall be, and each change. Without *prune* no key is ever removed. Raises Invalid."""
    if prune and not keys:
        raise Invalid(
            f"--prune would leave {found.name} without a key, and it would accept no attestation at all: name those"
            " that it shall keep"
        )
    changes: list[Change] = []
    if description is not None:
        did = "as wanted" if found.description == description else "changed" if found.description else "added"
        changes.append(Change("description", description, did))
    listed = list(found.keys)
    wanted: list[str] = []
    for key in keys:
        entry, change = _placed(found.name, listed, key, prune=prune)
        if entry.id not in wanted:
            wanted.append(entry.id)
            changes.append(change)
    for other in [entry for entry in listed if entry.id not in wanted]:
        if prune:
            listed.remove(other)
        said = "" if prune else "--prune removes it"
        changes.append(Change("key", other.id, "removed" if prune else "kept", said))
    if len(listed) > MOST_KEYS:
        raise Invalid(
            f"{found.name} would have {len(listed)} keys, and Binary Authorization takes {MOST_KEYS}: leave some out,"
            " or --prune those that nobody wants"
        )
    text = found.description if description is None else description
    return replace(found, keys=tuple(listed), description=text), changes


def _placed(name: str, listed: list[PublicKey], key: KnownKey, *, prune: bool) -> tuple[PublicKey, Change]:
    """Put a key in its place in the list, and say what that changed."""
    usual = key.id or natural_id(key.public.id)
    same = entries_of(key.public, listed)
    taken = next((entry for entry in listed if entry.id == usual and entry not in same), None)
    if taken is not None:
        raise Invalid(
            f"{name} lists another public key as {usual}: remove that one first, or give this one an id of its own"
        )
    entry = next((entry for entry in same if entry.id == usual), None)
    if entry is None and key.id is None:
        entry = next((entry for entry in same if not list(id_problems(name, entry))), None)
    if entry is None:
        made = key.entry(usual)
        listed.append(made)
        return made, Change("key", made.id, "added", made.algorithm)
    algorithm = entry.algorithm
    if key.is_chosen and entry.algorithm != key.public.algorithm:
        if not prune:
            raise Invalid(
                f"{name} lists the key {entry.id} with the algorithm {entry.algorithm}, and it is wanted with"
                f" {key.public.algorithm}: --prune replaces that entry, and what it verified verifies no more"
            )
        algorithm = key.public.algorithm
    changed = replace(entry, algorithm=algorithm, comment=entry.comment if key.comment is None else key.comment)
    listed[listed.index(entry)] = changed
    did = "as wanted" if changed == entry else "replaced" if algorithm != entry.algorithm else "changed"
    said = f"{entry.algorithm} by {algorithm}" if did == "replaced" else algorithm
    return changed, Change("key", changed.id, did, said)
