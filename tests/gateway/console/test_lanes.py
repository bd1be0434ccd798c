"""Workers in the console: how they are, stopped and resumed."""

from collections.abc import Awaitable, Callable

from tests.bus.lane import Lane, until
from tests.gateway.console.conftest import ACTOR, NARROW, SEER, Person, say
from workers.bus.judgement.line import read_line

People = Callable[[str | None], Awaitable[Person]]


async def test_a_line_is_stopped_and_resumed_by_name(people: People, lane: Lane) -> None:
    """It asks, does it for all replicas, and says who did it and why; the first page says that somebody is needed."""
    person = await people(ACTOR)
    asked = await person.get("/console/workers/echo/stop")
    done = await person.post("/console/workers/echo/stop", {"csrf": asked.csrf, "reason": "the registry <moves>"})

    state, _ = await read_line(lane.connection, "echo")
    assert (state.state, state.by, state.reason) == ("stopped", ACTOR, "the registry <moves>")
    assert "the registry &lt;moves&gt;" in done.text
    assert "Stopped by alice, " in done.text
    needs = (await person.get("/console")).text
    assert "The line of echo is stopped by alice: the registry &lt;moves&gt;." in needs

    asked = await person.get("/console/workers/echo/resume")
    assert "the registry &lt;moves&gt;" in asked.text
    await person.post("/console/workers/echo/resume", {"csrf": asked.csrf})
    state, _ = await read_line(lane.connection, "echo")
    assert (state.state, state.by) == ("running", ACTOR)
    assert "The line of echo" not in (await person.get("/console")).text


async def test_who_may_only_see_stops_nothing(people: People, lane: Lane) -> None:
    """No button, no page, no way past them."""
    seer = await people(SEER)
    page = await seer.get("/console/workers")
    assert page.status == 200
    assert "Stop" not in page.text
    assert (await seer.get("/console/workers/echo/stop")).status == 403
    assert (await seer.post("/console/workers/echo/stop", {"csrf": page.csrf, "reason": "x"})).status == 403
    assert (await read_line(lane.connection, "echo"))[0].state == "running"


async def test_who_sees_some_runs_does_not_see_the_whole(people: People, lane: Lane) -> None:
    """How the workers are says something of all runs; even who may act stops none."""
    narrow = await people(NARROW)
    word = (await narrow.get("/console")).csrf
    assert (await narrow.get("/console/workers")).status == 403
    assert (await narrow.post("/console/workers/echo/stop", {"csrf": word, "reason": "x"})).status == 403
    assert (await read_line(lane.connection, "echo"))[0].state == "running"


async def test_there_is_no_worker_but_those_there_are(people: People) -> None:
    """A name that is none is told which there are."""
    person = await people(ACTOR)
    for path in ("/console/workers/nobody/stop", "/console/workers/echo/burn", "/console/workers/echo%2e%3e/stop"):
        assert (await person.get(path)).status == 404


async def test_the_rate_is_what_was_heard(people: People, lane: Lane) -> None:
    """Results count, one each; the words before them do not."""
    person = await people(ACTOR)
    await person.get("/console/workers")
    for number in range(3):
        await say(lane, f"run{number}", number, kind="started", outcome=None)
        await say(lane, f"run{number}", number, outcome="dead" if number else "done")

    async def counted() -> bool:
        text = (await person.get("/console/workers")).text
        return text.count("<rect") == 1 and 'class="bad"' in text

    await until(counted, what="a bar with a dead letter in it")
