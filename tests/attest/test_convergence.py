"""Exactly one attestation per (note, key id, digest), whatever dies, hangs or comes twice."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from schemas.images import ImagePushed
from tests.attest.world import IMAGE, MANIFEST, REPOSITORY, Crash, World
from tests.fakes.claims import FakeClaims
from workers.failures import LeaseLost, Unavailable
from workers.ports import Attestation

ORDINARY_CALLS = 9
"""Border crossings of an undisturbed image, see test_one_image_costs_one_call_of_each_kind."""


def lost_answer() -> BaseException:
    """Return the failure of a call without an answer."""
    return Unavailable("no answer")


@pytest.mark.parametrize("failure", [Crash, lost_answer, asyncio.CancelledError])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(ORDINARY_CALLS))
async def test_a_failure_at_any_border_leaves_exactly_one_attestation(
    number: int, when: str, failure: Callable[[], BaseException]
) -> None:
    """Dead, cancelled, or answer lost, before or after each call: redelivery ends with one attestation, announced."""
    world = World()
    world.border.break_at[number] = (when, failure)
    try:
        await world.attest()
    except asyncio.CancelledError:
        await world.claims.silence()
    except (Crash, Unavailable):
        pass
    assert world.border.break_at == {}, "the call to break was never made"

    (attested,) = await world.redeliver()
    assert list(world.attestations.stored) == [attested.occurrence]


RECOVERY_CALLS = 6
"""Resolve, attestor, key, claim, find, validate: what a redelivery needs to find what was stored."""


@pytest.mark.parametrize("second", range(RECOVERY_CALLS))
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_second_death_during_recovery_changes_nothing(second: int, when: str) -> None:
    """Killed after the create, then again at any step of the recovery."""
    world = World()
    world.border.break_at[ORDINARY_CALLS - 1] = ("after", Crash)
    world.border.break_at[ORDINARY_CALLS + second] = (when, Crash)

    (attested,) = await world.redeliver()
    assert world.border.break_at == {}, "the call to break was never made"
    assert list(world.attestations.stored) == [attested.occurrence]


async def test_a_create_without_an_answer_is_found_again(world: World) -> None:
    """The work was done, the answer lost: one wait for the read lag, no second create, no redelivery."""
    world.border.break_at[ORDINARY_CALLS - 1] = ("after", lost_answer)

    (attested,) = await world.attest()
    assert attested.created
    assert world.border.count("attestations.create") == 1
    assert world.clock.slept == [world.attestations.read_lag]


async def test_a_create_that_never_arrived_is_tried_by_the_next_delivery(world: World) -> None:
    """Nothing is repeated blindly inside one attempt."""
    world.border.break_at[ORDINARY_CALLS - 1] = ("before", lost_answer)

    with pytest.raises(Unavailable):
        await world.attest()
    assert world.border.count("attestations.create") == 1


async def test_already_exists_is_success(world: World) -> None:
    """Somebody stored it just now, not listed yet: it is looked up after the lag."""
    existing = await world.attestations.create("projects/acme", await world.made_by_gcloud(), timeout=1)
    world.attestations.refuse_repeats = True

    (attested,) = await world.attest()
    assert (attested.occurrence, attested.created) == (existing.name, False)
    assert len(world.attestations.stored) == 1


async def test_a_holder_paused_before_its_create_removes_what_is_surplus(world: World) -> None:
    """Stopped past its lease on the way to the create, it wakes, stores a second one, and takes it back."""
    outcomes: list[str] = []

    async def pause() -> None:
        await world.claims.silence()
        (attested,) = await world.redeliver()
        outcomes.append(attested.occurrence)

    world.border.before["attestations.create"] = pause
    with pytest.raises(LeaseLost):
        await world.attest()

    assert world.border.count("attestations.create") == 2
    assert list(world.attestations.stored) == outcomes
    (again,) = await world.redeliver()
    assert again.occurrence == outcomes[0]


async def test_a_holder_paused_before_marking_never_creates(world: World) -> None:
    """The mark is a compare-and-set: whoever lost the claim learns it there."""

    async def pause() -> None:
        await world.claims.silence()
        await world.redeliver()

    world.border.before["keys.sign"] = pause
    with pytest.raises(LeaseLost):
        await world.attest()

    assert world.border.count("attestations.create") == 1
    assert len(world.attestations.stored) == 1


async def test_a_paused_holder_that_is_first_after_all_wins(world: World) -> None:
    """Its create landed before the pause: the taker finds it after the lag and stores nothing."""

    async def create_then_pause(project: str, attestation: Attestation, *, timeout: float) -> Attestation:
        world.attestations.create = create  # type: ignore[method-assign]  # only the first call is disturbed
        stored = await create(project, attestation, timeout=timeout)
        await world.claims.silence()
        (attested,) = await world.redeliver()
        assert attested.occurrence == stored.name
        return stored

    create = world.attestations.create
    world.attestations.create = create_then_pause  # type: ignore[method-assign]  # disturbed on purpose
    with pytest.raises(LeaseLost):
        await world.attest()
    assert len(world.attestations.stored) == 1


async def test_effects_end_before_the_lease_does(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may change the outside is given less time than nobody else may act in."""
    given: list[float] = []
    create, sign = world.attestations.create, world.keys.sign

    async def timed_create(project: str, attestation: Attestation, *, timeout: float) -> Attestation:
        given.append(timeout)
        return await create(project, attestation, timeout=timeout)

    async def timed_sign(key: str, payload: bytes, *, timeout: float) -> bytes:
        given.append(timeout)
        return await sign(key, payload, timeout=timeout)

    monkeypatch.setattr(world.attestations, "create", timed_create)
    monkeypatch.setattr(world.keys, "sign", timed_sign)
    world.claims.seconds = 4.0
    await world.attest()

    assert given == [3.0, 3.0]


async def test_too_little_lease_begins_nothing(world: World) -> None:
    """A call must be able to end before somebody else may act."""
    world.claims.seconds = 0.2

    with pytest.raises(LeaseLost, match="about to end"):
        await world.attest()
    assert world.border.count("attestations.create") == 0
    assert world.keys.signed == []


async def test_a_dead_holders_create_that_lands_late_is_settled(world: World) -> None:
    """Killed with the create on the wire: the taker looks, finds nothing, stores its own, and looks again."""
    late = await world.made_by_gcloud()
    world.border.break_at[ORDINARY_CALLS - 1] = ("before", Crash)
    with pytest.raises(Crash):
        await world.attest()

    async def land() -> None:
        await world.attestations.create("projects/acme", late, timeout=1)

    world.border.before["attestations.create"] = land
    (attested,) = await world.redeliver()
    ((name, kept),) = world.attestations.stored.items()
    assert (name, kept.signature) == (attested.occurrence, late.signature)


async def test_many_replicas_create_one_attestation(world: World) -> None:
    """Twelve replicas at once: one creates, the others have its result."""
    world.images.put(REPOSITORY, "latest", MANIFEST)
    events = [ImagePushed(image=IMAGE), ImagePushed(image=f"{REPOSITORY}:latest")] * 6

    results = await asyncio.gather(*(world.redeliver(event) for event in events))

    (only,) = world.attestations.stored
    assert {attested.occurrence for result in results for attested in result} == {only}
    assert world.border.count("attestations.create") == 1


@pytest.mark.parametrize("seed", range(40))
async def test_replicas_whose_leases_run_out_still_end_with_one_attestation(seed: int) -> None:
    """Holders are overtaken twenty times, calls by one another: the surplus is removed, the oldest stays."""
    world = World(claims=FakeClaims(steals=20))
    world.border.chance = Random(seed)  # noqa: S311 - varies a test, guards nothing

    results = await asyncio.gather(*(world.redeliver() for _ in range(8)))

    (only,) = world.attestations.stored
    assert {attested.occurrence for result in results for attested in result} == {only}
