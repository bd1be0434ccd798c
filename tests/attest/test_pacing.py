"""Validations keep to the rate that Binary Authorization admits, and whoever waits says until when."""

from datetime import timedelta

import pytest

from tests.attest.world import World
from workers.failures import QuotaExhausted
from workers.pacing import VALIDATE
from workers.ports import Attestation, Verdict


async def test_every_validation_takes_a_turn(world: World) -> None:
    """One image, one turn; nobody waits while no limit is known."""
    await world.attest()
    assert world.rates.turns == [VALIDATE]
    assert world.clock.slept == []


async def test_a_turn_in_the_future_is_waited_for_and_announced(world: World) -> None:
    """The run says when it goes on, and the image is attested then, in the same attempt."""
    world.rates.waits = [timedelta(seconds=12)]
    (attested,) = await world.attest()
    assert attested.verdict == "VERIFIED"
    assert world.clock.slept == [timedelta(seconds=12)]
    assert "Binary Authorization limits the rate of validations: it is our turn at 00:00:12 UTC" in world.progress.lines
    assert "wait for our turn" in world.progress.done


async def test_a_turn_that_is_far_away_is_waited_for_on_the_bus(world: World) -> None:
    """The image gives its place up and comes back when its turn is near; nothing was stored."""
    world.rates.waits = [timedelta(minutes=30)]
    with pytest.raises(QuotaExhausted) as far:
        await world.attest()
    assert far.value.after == timedelta(minutes=30)
    assert world.attestations.stored == {}


async def test_a_refusal_teaches_everybody_the_limit_and_costs_no_second_signature(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Binary Authorization said is passed on to the other replicas; the image waits for a turn in its place."""
    refusal = QuotaExhausted("the quota is used up", after=timedelta(seconds=40), limit=100)
    answers, validate = [refusal], world.attestors.validate

    async def refuse_once(attestor: str, attestation: Attestation, *, timeout: float) -> Verdict:
        if answers:
            raise answers.pop()
        return await validate(attestor, attestation, timeout=timeout)

    monkeypatch.setattr(world.attestors, "validate", refuse_once)
    world.rates.waits = [timedelta(0), timedelta(seconds=40)]
    assert len(await world.attest()) == 1
    assert world.rates.refusals == [(VALIDATE, refusal)]
    assert world.clock.slept == [timedelta(seconds=40)]
    assert world.progress.done.count("sign") == 1


async def test_a_refusal_at_our_own_turn_goes_back_to_the_bus(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else uses the same quota: nothing was stored, and the image comes again later."""

    async def refuse(_attestor: str, _attestation: Attestation, *, timeout: float) -> Verdict:
        del timeout
        raise QuotaExhausted("the quota is used up", after=timedelta(seconds=40), limit=100)

    monkeypatch.setattr(world.attestors, "validate", refuse)
    with pytest.raises(QuotaExhausted):
        await world.attest()
    assert world.attestations.stored == {}
