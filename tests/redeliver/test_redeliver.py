"""Failed deliveries are asked for again: each in its time, not for ever, and nothing is forgotten."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.fakes.claims import FakeClaims
from tests.fakes.clock import FakeClock
from tests.fakes.github import FakeDeliveries
from tests.fakes.progress import FakeProgress
from workers.failures import Unavailable
from workers.github_rules import GithubSettings
from workers.redeliver.worker import redeliver

TICK = timedelta(minutes=5)


class Scene:
    """A worker that is woken, and GitHub's list of deliveries."""

    def __init__(self, **settings: int) -> None:
        self.clock, self.claims, self.progress = FakeClock(), FakeClaims(), FakeProgress()
        self.deliveries = FakeDeliveries()
        self.settings = GithubSettings.model_validate(settings)
        self.up = False

    def happen(self, guid: str, *, ok: bool = False) -> None:
        """Let GitHub deliver something now."""
        self.deliveries.add(guid, self.clock.now(), ok=ok)

    async def look(self) -> list[str]:
        """Wake the worker; return the guids that it asked for, whose next attempts then happen."""
        self.deliveries.asked.clear()
        await redeliver(self.deliveries, self.claims, self.settings, self.clock, self.progress)
        by_id = {attempt.id: attempt.guid for attempt in self.deliveries.made}
        asked = [by_id[number] for number in self.deliveries.asked]
        for guid in asked:
            self.happen(guid, ok=self.up)
        return asked

    async def pass_by(self, time: timedelta) -> list[str]:
        """Let time pass, tick by tick; return all that was asked for."""
        asked, end = [], self.clock.now() + time
        while self.clock.now() < end:
            self.clock.time += TICK
            asked += await self.look()
        return asked


async def test_what_failed_is_asked_for_and_what_succeeded_is_not() -> None:
    """By the newest of its attempts; once it has arrived, never again."""
    scene = Scene()
    scene.happen("lost")
    scene.happen("taken", ok=True)
    scene.clock.time += TICK
    scene.up = True

    assert await scene.look() == ["lost"]
    assert await scene.pass_by(timedelta(hours=5)) == []


async def test_an_attempt_that_succeeded_later_is_enough() -> None:
    """Somebody else asked for it already."""
    scene = Scene()
    scene.happen("lost")
    scene.clock.time += TICK
    scene.happen("lost", ok=True)
    scene.clock.time += TICK

    assert await scene.look() == []


async def test_attempts_come_ever_less_often_and_end() -> None:
    """Five in the first three hours, twelve in all, and GitHub is left alone afterwards."""
    scene = Scene()
    scene.happen("lost")

    assert len(await scene.pass_by(timedelta(hours=3))) == 5
    assert len(await scene.pass_by(timedelta(days=2))) == 7
    assert await scene.pass_by(timedelta(days=2)) == []


async def test_a_long_outage_loses_nothing() -> None:
    """The door is away for a day, with a delivery every hour; when it is back, all of them arrive."""
    scene = Scene()
    for hour in range(24):
        scene.happen(f"hour-{hour}")
        await scene.pass_by(timedelta(hours=1))
    scene.up = True

    assert set(await scene.pass_by(timedelta(hours=7))) == {f"hour-{hour}" for hour in range(24)}


@pytest.mark.parametrize("most", [0, 1, 3])
async def test_each_is_asked_for_at_most_as_often_as_it_is_set(most: int) -> None:
    """Counted by what GitHub lists, so neither a restart nor another replica begins anew."""
    scene = Scene(redeliveries=most)
    scene.happen("lost")
    asked = await scene.pass_by(timedelta(days=1))
    scene.claims = FakeClaims()

    assert asked == ["lost"] * most
    assert await scene.pass_by(timedelta(days=1)) == []


async def test_only_what_is_new_or_still_failing_is_looked_at() -> None:
    """A thousand old successes are not listed at every tick."""
    scene = Scene()
    for number in range(1000):
        scene.happen(f"old-{number}", ok=True)
        scene.clock.time += timedelta(seconds=1)
    await scene.pass_by(timedelta(minutes=30))
    scene.deliveries.yielded = 0
    scene.happen("new", ok=True)
    await scene.look()

    assert scene.deliveries.yielded < 5


async def test_a_failure_in_the_middle_forgets_nothing() -> None:
    """GitHub breaks off: the next look begins where the last complete one did."""
    scene = Scene()
    scene.happen("lost")
    scene.clock.time += TICK
    scene.deliveries.failure = Unavailable("GitHub is away")
    with pytest.raises(Unavailable):
        await scene.look()
    scene.deliveries.failure = None

    assert await scene.look() == ["lost"]


async def test_what_github_has_forgotten_holds_up_nobody() -> None:
    """It is said, and the others are asked for."""
    scene = Scene()
    scene.happen("forgotten")
    scene.happen("lost")
    scene.clock.time += TICK
    scene.deliveries.made[0] = replace(scene.deliveries.made[0], id=-1)
    original = scene.deliveries.redeliver

    async def redelivering(attempt: int) -> None:
        await original(10**9 if attempt == -1 else attempt)

    scene.deliveries.redeliver = redelivering  # type: ignore[method-assign]  # one attempt is gone

    assert await scene.look() == ["lost"]
    assert any("forgotten" in line for line in scene.progress.lines)


async def test_without_an_app_nothing_happens() -> None:
    """Nobody is asked, and nothing is said at every tick."""
    scene = Scene()
    scene.deliveries.configured = False
    scene.happen("lost")
    scene.clock.time += TICK

    assert await scene.look() == []
    assert scene.progress.lines == []


async def test_the_first_look_goes_back_as_far_as_github_remembers() -> None:
    """Three days, for what was lost before this worker was there."""
    scene = Scene()
    now = scene.clock.now()
    scene.deliveries.add("too old", now - timedelta(days=4), ok=False)
    scene.deliveries.add("old", now - timedelta(days=2), ok=False)

    assert await scene.look() == ["old"]
    kept = scene.claims.entries["look"].kept
    assert kept is not None
    assert datetime.fromisoformat(kept["since"]) == now - timedelta(days=2)
