"""Waiting where the outside admits no more for now."""

from collections.abc import AsyncIterator
from datetime import timedelta

from tests.fakes.clock import FakeClock
from workers.attestors.patience import Patience
from workers.failures import QuotaExhausted


async def test_a_listing_that_the_quota_cuts_short_goes_on_without_repeats() -> None:
    """What was seen already is not yielded again, and the wait is said."""
    clock, said = FakeClock(), list[str]()
    cuts = [2, 4]

    async def listing() -> AsyncIterator[int]:
        for number in range(6):
            if cuts and number == cuts[0]:
                cuts.pop(0)
                raise QuotaExhausted("the quota is used up", after=timedelta(seconds=7))
            yield number

    assert [number async for number in Patience(clock, said.append).follow(listing)] == [0, 1, 2, 3, 4, 5]
    assert clock.slept == [timedelta(seconds=7)] * 2
    assert len(said) == 2
