"""A worker may be woken by a clock: the server fires, no process of ours schedules."""

from datetime import timedelta

import pytest

from schemas.echoes import EchoAnswered, EchoRequested
from tests.bus.lane import Lane, until
from workers.bus.transport import headers as names
from workers.bus.wiring import WiringError, wire
from workers.card import Card
from workers.failures import NotYet
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


async def test_a_tick_that_is_not_yet_possible_comes_back_as_the_same_run(lane: Lane) -> None:
    """Waiting is a schedule for ticks as well: nothing is buried, and the run goes on until it is done."""
    woken: list[int] = []

    async def hesitating() -> EchoAnswered:
        woken.append(1)
        if len(woken) < 3:
            raise NotYet("the world is not ready", after=timedelta(seconds=1))
        return EchoAnswered(message="at last")

    wiring = wire(Card("sweep", "Is woken.", tick="@every 1h", ack_wait=timedelta(seconds=5)), sweep, hesitating)
    await lane.provision(wiring)
    once = {names.SCHEDULE: "@at 2020-01-01T00:00:00Z", names.SCHEDULE_TARGET: "tick.sweep"}
    await lane.publisher.publish("cron.sweep", b"", once)

    async with lane.running(wiring):
        await until(lambda: _ticked(lane, 1), what="the tick was handled in the end")

    results = await lane.results()
    assert [result["outcome"] for result in results] == ["waiting", "waiting", "done"]
    assert len({result["run"] for result in results}) == 1
    assert await lane.count("DEAD") == 0


def test_what_a_tick_wakes_gets_no_event() -> None:
    """An event parameter in `tick` is a mistake that is named."""
    with pytest.raises(WiringError, match="gets no event"):
        wire(Card("sweep", "Is woken.", tick="@every 1s"), sweep, sweep)


async def _ticked(lane: Lane, at_least: int) -> bool:
    return len(await lane.results(outcome="done")) >= at_least
