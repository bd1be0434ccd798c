"""Every image is proven before the old key goes, however long it takes; and what others need is not deleted."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

from tests.rekey.world import ATTESTOR, NEW_ID, NOTE, OLD_ID, OTHER_ID, World
from workers.ports import Attestation, Verdict
from workers.rekey.pruning import prune
from workers.rekey.rules import Change


async def test_a_proof_that_takes_longer_than_one_look_goes_on_in_the_next(world: World) -> None:
    """Each validation takes ten seconds: the old key stays until the last image was asked about."""
    names = [f"shop-{number}" for number in range(60)]
    await world.attested(*names)
    validate, proven = world.attestors.validate, set[str]()

    async def slow(attestor: str, attestation: Attestation, *, timeout: float) -> Verdict:
        if attestation.name is not None and attestation.key_id == NEW_ID and OLD_ID in world.listed:
            proven.add(attestation.digest)
            world.clock.time += timedelta(seconds=10)
        return await validate(attestor, attestation, timeout=timeout)

    world.attestors.validate = slow  # type: ignore[method-assign] # a slow service
    rotated = await world.rotate()

    assert rotated.images == len(proven) == 60
    said = [str(wait) for wait in world.waits if " of 60 images verified with the new key and" in str(wait)]
    assert len(said) >= 2


class Note:
    """A note with three occurrences: one holds two signatures, as gcloud never writes them but others may."""

    def __init__(self, one: Attestation) -> None:
        self.all = [
            replace(one, name="both", key_id=OLD_ID),
            replace(one, name="both", key_id=OTHER_ID),
            replace(one, name="old", key_id=OLD_ID),
            replace(one, name="new", key_id=NEW_ID),
        ]
        self.deleted: list[str] = []
        self.read_lag = timedelta(0)

    async def of_note(self, note: str, *, since: datetime | None = None) -> AsyncIterator[Attestation]:
        """Yield all."""
        for one in self.all:
            yield one

    async def find(self, note: str, digest: str) -> tuple[Attestation, ...]:
        """Return all, they are about one digest."""
        return tuple(self.all)

    async def get(self, name: str) -> tuple[Attestation, ...]:
        """Return what is stored under a name."""
        return tuple(one for one in self.all if one.name == name)

    async def delete(self, name: str) -> None:
        """Remember what was deleted."""
        self.deleted.append(name)

    async def create(self, project: str, attestation: Attestation, *, timeout: float) -> Attestation:
        """Nothing is made while something is deleted."""
        raise AssertionError(project)


async def test_an_occurrence_with_another_keys_signature_is_spared(world: World) -> None:
    """Deleting it would delete that signature, too."""
    await world.attested("shop")
    (one,) = world.by(OLD_ID, "shop")
    note = Note(one)
    change = Change(frozenset({OLD_ID}), frozenset({NEW_ID}))
    deleted = await prune(world.admin.records[ATTESTOR], change, world.admin, note, world.progress)

    assert one.note == NOTE
    assert (deleted, note.deleted) == (1, ["old"])
