"""What became of an event, asked at the door by whoever brought it."""

import pytest

from tests.bus.lane import until
from tests.gateway.conftest import KEY, SLOW_KEY, Answer, Caller


async def _ask(caller: Caller, run: str, key: str | None = KEY) -> Answer:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return await caller.ask("GET", f"/runs/{run}", headers=headers)


async def test_whoever_brought_an_event_sees_its_run_to_the_end(caller: Caller, echo: None) -> None:
    """The receipt's run leads to what each worker made of the event."""
    run = (await caller.echo("r-1")).json["run"]

    async def complete() -> bool:
        answer = await _ask(caller, run)
        return answer.status == 200 and answer.json["complete"]

    await until(complete, what="the run is complete")
    record = (await _ask(caller, run)).json
    assert (record["run"], record["state"]) == (run, "done")
    assert [(branch["worker"], branch["state"]) for branch in record["branches"]] == [("echo", "done")]
    assert record["branches"][0]["emitted"][0]["type"] == "echo.answered"


async def test_run_of_another_principal_is_as_unknown_as_none(caller: Caller, echo: None) -> None:
    """Whether there is a run is nobody's business but of who opened it; without a token nothing is said at all."""
    run = (await caller.echo("r-2")).json["run"]

    async def heard() -> bool:
        return (await _ask(caller, run)).status == 200

    await until(heard, what="the run is heard of")
    foreign, unknown, stranger = (
        await _ask(caller, run, SLOW_KEY),
        await _ask(caller, "A" * 43),
        await _ask(caller, run, None),
    )
    assert (foreign.status, unknown.status, stranger.status) == (404, 404, 401)
    assert foreign.json["detail"].replace(run, "") == unknown.json["detail"].replace("A" * 43, "")
    assert foreign.headers["retry-after"] == "1"


@pytest.mark.parametrize("name", ["a.b", "progress.*", "%3E", "a b", "é", "x" * 65])
async def test_what_is_no_run_is_refused_by_name(caller: Caller, name: str) -> None:
    """A wildcard, a dot or a long text would read what it must not."""
    answer = await _ask(caller, name)
    assert (answer.status, "not the id of a run" in answer.json["detail"]) == (400, True)
