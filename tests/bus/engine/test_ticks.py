"""A worker may be woken by a clock: the server fires, no process of ours schedules."""

from datetime import timedelta

import pytest

from schemas.echoes import EchoAnswered, EchoRequested
from tests.bus.lane import Lane, until
from workers.bus.wiring import WiringError, wire
from workers.card import Card
from workers.ports import Progress


async def sweep(event: EchoRequested) -> None:
    """Consume and emit nothing."""


async def tick(progress: Progress) -> EchoAnswered:
    """Emit something whenever the clock strikes."""
    progress.log("woken")
    return EchoAnswered(message="by the clock")


async def test_a_tick_wakes_the_worker_again_and_again_and_each_is_a_run_of_its_own(lane: Lane) -> None:
    """`@every 1s` on the server: each tick is handled once and emits under an id of its own."""
    wiring = wire(Card("sweep", "Is woken.", tick="@every 1s", ack_wait=timedelta(seconds=5)), sweep, tick)
    await lane.provision(wiring)

    async with lane.running(wiring):
        await until(lambda: _ticked(lane, 2), what="two ticks were handled")

    results = await lane.results(outcome="done")
    assert len({result["run"] for result in results}) == len(results) >= 2
    assert {result["emitted"][0]["type"] for result in results} == {"echo.answered"}
    assert [body["message"] for body in await lane.bodies("EVENTS")] == ["by the clock"] * len(results)


def test_what_a_tick_wakes_gets_no_event() -> None:
    """An event parameter in `tick` is a mistake that is named."""
    with pytest.raises(WiringError, match="gets no event"):
        wire(Card("sweep", "Is woken.", tick="@every 1s"), sweep, sweep)


async def _ticked(lane: Lane, at_least: int) -> bool:
    return len(await lane.results(outcome="done")) >= at_least
