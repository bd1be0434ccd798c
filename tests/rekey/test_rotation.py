"""A rotation keeps every image admitted, ends when all verify with the new key, and stops at nothing halfway."""

from datetime import timedelta

import pytest

from schemas.attestors import AttestorRotate
from tests.attest.world import Crash
from tests.rekey.world import ATTESTOR, NEW, NEW_ID, OLD, OLD_ID, OTHER, OTHER_ID, World, uri_of
from workers.failures import Invalid, QuotaExhausted, Unavailable
from workers.ports import Attestation, Verdict

ROTATE = AttestorRotate(attestor=ATTESTOR)
NAMES = tuple(f"shop-{number}" for number in range(7))


async def holds(world: World, names: tuple[str, ...] = NAMES) -> None:
    """Assert that a rotation did all that it should."""
    assert world.listed == {NEW_ID}
    assert [len(world.by(NEW_ID, name)) for name in names] == [1] * len(names)
    assert [name for name in names if not await world.admits(name)] == []


async def test_every_image_is_attested_by_the_new_key_before_the_old_one_goes(world: World) -> None:
    """All verify with the new key, once each; the old attestations stay; at no look was an image not admitted."""
    await world.attested(*NAMES)

    async def all_admitted() -> None:
        assert [name for name in NAMES if not await world.admits(name)] == []

    world.between = all_admitted
    rotated = await world.rotate()

    assert (rotated.images, rotated.left_out, rotated.pruned) == (7, 0, 0)
    assert (rotated.removed, rotated.trusted) == ((OLD_ID,), (NEW_ID,))
    assert [len(world.by(OLD_ID, name)) for name in NAMES] == [1] * 7
    await holds(world)


async def test_no_registry_is_asked_so_an_image_that_is_gone_does_not_hold_it_up(world: World) -> None:
    """What was deleted from its registry may still run: it is renewed from the attestation that admits it."""
    await world.attested("gone")
    await world.rotate()

    assert world.images.asked == []
    await holds(world, ("gone",))


async def _calls(names: tuple[str, ...]) -> int:
    world = World()
    await world.attested(*names)
    await world.rotate()
    return len(world.border.calls)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("failure", [Crash, lambda: Unavailable("lost")], ids=["crash", "unavailable"])
async def test_whatever_breaks_anywhere_it_ends_well(when: str, failure: object) -> None:
    """At each call to the outside in turn the process dies, or the answer is lost: the result is the same."""
    names = NAMES[:2]
    for number in range(await _calls(names)):
        world = World()
        await world.attested(*names)
        world.border.break_at = {number: (when, failure)}  # type: ignore[dict-item] # a class makes failures as well
        rotated = await world.rotate()
        await holds(world, names)
        assert (rotated.images, rotated.removed) == (2, (OLD_ID,))


async def test_what_is_pushed_meanwhile_with_the_old_key_is_caught(world: World) -> None:
    """A signer that has not heard of the new key yet signs until the last moment: its images are renewed as well."""
    await world.attested("first")
    late = [f"late-{number}" for number in range(4)]

    async def push() -> None:
        if late and OLD_ID in world.listed:
            await world.attested(late.pop())

    world.between = push
    rotated = await world.rotate()

    assert rotated.images == 5
    await holds(world, ("first", "late-0", "late-1", "late-2", "late-3"))


async def test_what_the_old_key_attests_during_the_proof_is_caught(world: World) -> None:
    """After the last image was proven, and before the old key goes, the note is listed once more."""
    await world.attested("first")
    prove, late = world.attestors.validate, ["late"]

    async def proving(attestor: str, attestation: Attestation, *, timeout: float) -> Verdict:
        verdict = await prove(attestor, attestation, timeout=timeout)
        if late and attestation.key_id == NEW_ID and attestation.name is not None:
            await world.attested(late.pop())
        return verdict

    world.attestors.validate = proving  # type: ignore[method-assign] # somebody signs meanwhile
    rotated = await world.rotate()

    assert rotated.images == 2
    assert late == []
    await holds(world, ("first", "late"))


async def test_an_image_that_cannot_be_signed_keeps_the_old_key_and_is_named(world: World) -> None:
    """The sentence says how far it is, which image it is, and where to look; the rest is renewed."""
    await world.attested(*NAMES)
    world.broken = {uri_of("shop-3")}
    with pytest.raises(AssertionError, match="not rotated"):
        await world.rotate(looks=30)

    last = world.waits[-1]
    assert world.listed == {OLD_ID, NEW_ID}
    assert str(last).startswith("6 of 7 images verified with the new key; nothing more was attested")
    assert uri_of("shop-3") in str(last)
    assert "sealane dead list --worker attest" in str(last)
    assert last.after == world.pace.latest
    assert last.deadline > world.pace.patience
    world.broken = set()
    await world.rotate()
    await holds(world)


async def test_what_the_attestor_does_not_admit_is_left_out_visibly(world: World) -> None:
    """An attestation over another digest admits nothing: it neither holds the rotation up nor is it renewed."""
    await world.attested("good")
    await world.attested("forged", payload_of="something else")
    rotated = await world.rotate()

    assert (rotated.images, rotated.left_out) == (1, 1)
    assert any("left out" in line and uri_of("forged") in line for line in world.progress.lines)
    assert world.by(NEW_ID, "forged") == []


async def test_an_attestation_that_only_claims_the_new_key_proves_nothing(world: World) -> None:
    """Somebody attached one with the new key's id and a wrong payload: the image is attested for real before."""
    await world.attested("shop")
    await world.attested("shop", key=NEW, payload_of="something else")
    await world.rotate()

    made = world.by(NEW_ID, "shop")
    verdicts = [await world.attestors.validate(ATTESTOR, one, timeout=1) for one in made]
    assert sorted(verdict.result for verdict in verdicts) == ["ATTESTATION_NOT_VERIFIABLE", "VERIFIED"]
    assert world.listed == {NEW_ID}


async def test_since_leaves_older_images_alone_unless_they_are_named(world: World) -> None:
    """What still runs is named beside what was attested lately."""
    await world.attested("old", "running")
    since = world.clock.now()
    await world.attested("new")
    event = AttestorRotate(attestor=ATTESTOR, since=since, images=(uri_of("running"),))
    rotated = await world.rotate(event)

    assert rotated.images == 2
    assert world.by(NEW_ID, "old") == []
    await holds(world, ("running", "new"))


async def test_an_image_that_was_never_attested_is_refused_at_once(world: World) -> None:
    """Nothing is granted by naming it, and the old key stays."""
    await world.attested("shop")
    event = AttestorRotate(attestor=ATTESTOR, images=(uri_of("stranger"),))
    with pytest.raises(Invalid, match=r"has not attested .*stranger.*sealane attest"):
        await world.rotate(event)

    assert OLD_ID in world.listed


async def test_a_second_rotation_joins_and_a_later_one_has_nothing_to_do(world: World) -> None:
    """Two events take turns and sign nothing twice; after the end there is nothing to do, and that is said."""
    await world.attested(*NAMES)
    assert await world.look(ROTATE, "1") is None
    assert await world.look(ROTATE, "2") is None
    first = await world.rotate(event_id="1")
    second = await world.rotate(event_id="2")

    assert (first.images, second.images, second.removed) == (7, 0, ())
    assert any("nothing to do" in line for line in world.progress.lines)
    await holds(world)


async def test_the_same_event_delivered_again_gets_the_same_result(world: World) -> None:
    """A redelivery after the end repeats the fact, not the work."""
    await world.attested(*NAMES)
    first = await world.rotate()
    updates = world.admin.updates

    assert await world.rotate() == first
    assert world.admin.updates == updates


async def test_old_attestations_are_deleted_only_when_asked(world: World) -> None:
    """With `prune` they go where the new key has attested; what it has not stays."""
    await world.attested("old")
    since = world.clock.now()
    await world.attested("shop")
    rotated = await world.rotate(AttestorRotate(attestor=ATTESTOR, since=since, prune=True))

    assert rotated.pruned == 1
    assert (world.by(OLD_ID, "shop"), len(world.by(OLD_ID, "old"))) == ([], 1)


async def test_nothing_is_deleted_that_another_attestor_needs(world: World) -> None:
    """Another attestor reads the note and lists the old key."""
    await world.attested("shop")
    world.list_keys(world.public(OLD, OLD_ID), name="projects/acme/attestors/other")
    rotated = await world.rotate(AttestorRotate(attestor=ATTESTOR, prune=True))

    assert rotated.pruned == 0
    assert len(world.by(OLD_ID, "shop")) == 1


async def test_a_disabled_old_key_is_replaced_all_the_same(world: World) -> None:
    """Whoever disabled it first, since it leaked, must be able to rotate."""
    await world.attested(*NAMES)
    world.keys.disabled.add(OLD)
    await world.rotate()

    await holds(world)


async def test_a_local_old_key_that_is_gone_is_said_to_be(world: World) -> None:
    """Nobody can tell its entry without it: that must not look as if there were nothing to do."""
    world.rule(key="file:///run/keys/gone.pem")
    world.list_keys(world.public(OLD, OLD_ID), world.public(NEW, NEW_ID))
    with pytest.raises(Invalid, match="nobody can say which entry"):
        await world.rotate()

    assert world.listed == {OLD_ID, NEW_ID}


async def test_other_keys_of_the_attestor_are_left_alone(world: World) -> None:
    """Only the key of the rule goes."""
    world.list_keys(world.public(OLD, OLD_ID), world.public(OTHER, OTHER_ID))
    await world.attested("shop")
    await world.rotate()

    assert world.listed == {OTHER_ID, NEW_ID}


async def test_a_used_up_quota_is_waited_for_and_what_is_proven_is_not_proven_again(world: World) -> None:
    """The sentence says how far it is; the next look goes on there."""
    names = tuple(f"shop-{number}" for number in range(120))
    await world.attested(*names)
    validate, left = world.attestors.validate, 10_000

    async def limited(*arguments: object, **named: object) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise QuotaExhausted("used up", after=timedelta(seconds=61))
        return await validate(*arguments, **named)  # type: ignore[arg-type] # handed on

    while not any(world.by(NEW_ID, name) for name in names):
        assert await world.look(ROTATE) is None
    world.clock.time += timedelta(minutes=5)
    left = 100
    world.attestors.validate = limited  # type: ignore[method-assign,assignment] # a quota
    assert await world.look(ROTATE) is None
    assert str(world.waits[-1]).startswith(
        "100 of 120 images verified with the new key and 20 attested by it, done about"
    )
    assert world.waits[-1].after >= timedelta(seconds=61)
    before = left = 10_000
    rotated = await world.rotate()

    assert rotated.images == 120
    assert before - left < 30
