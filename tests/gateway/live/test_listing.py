"""The list of runs at the door: one row each, filtered, paged, and live."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from starlette.requests import Request

from tests.bus.lane import Lane, lane_on, until
from tests.gateway.conftest import KEY, SLOW_KEY, Answer, Caller, open_door
from workers.bus.doors.fanout import Fanout
from workers.bus.doors.index import Index
from workers.bus.topology.streams import PROGRESS
from workers.gateway.callers import hash_of
from workers.gateway.live.listing import ListDoor
from workers.gateway.live.quota import StreamQuota
from workers.gateway.live.tale import Told
from workers.gateway.metrics import DoorMetrics
from workers.gateway.principals import Policy, Principal, Sight
from workers.gateway.tokens import Bearer
from workers.local.nats import NatsServer
from workers.retention import Retention

SEER_KEY = "slk_seer00000000000000000000000000000000000"
BEGAN = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
HERE = "/runs"


@pytest.fixture
def policy(policy: Policy) -> Policy:
    """Know somebody besides who may see all that is said of echoes, and publish nothing."""
    seer = {"name": "seer", "api_keys": [hash_of(SEER_KEY)], "may_publish": (), "may_see": [{"type": "echo.*"}]}
    return Policy.model_validate({"issuers": policy.issuers, "principals": [*policy.principals, seer]})


async def say(lane: Lane, run: str, number: int = 1, **more: Any) -> None:
    """Say something of the event that opened a run; a result unless something else is said."""
    event = {"type": "echo.requested", "source": "/ci", "id": run, "subject": f"about {run}", "stream": "EVENTS"}
    known = {"kind": "result", "outcome": "done", "worker": "echo", "run": run, "attempt": 1, "n": number}
    at = {"at": (BEGAN + timedelta(seconds=number)).isoformat(), "seconds": 0.5, "actor": "ci"}
    body = known | at | {"event": event | {"sequence": 1}} | more
    await lane.publisher.publish(f"progress.{body['worker']}.{run}", json.dumps(body).encode())


async def ask(caller: Caller, query: str = "", *, key: str = KEY) -> Answer:
    """Return the list."""
    return await caller.ask("GET", f"{HERE}{query}", headers={"authorization": f"Bearer {key}"})


async def rows(caller: Caller, query: str = "", *, key: str = KEY, most: int) -> list[dict[str, Any]]:
    """Return the rows as soon as there are as many as are wanted."""
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        found[:] = (await ask(caller, query, key=key)).json["runs"]
        return len(found) == most

    await until(there, what=f"{most} rows")
    return found


async def test_a_row_says_how_a_run_is_and_since_when(lane: Lane, caller: Caller) -> None:
    """One that is done, one at work on a step, one that waits, one that failed: newest word first."""
    await say(lane, "done")
    await say(lane, "step", kind="started", outcome=None)
    await say(lane, "step", 2, kind="step", step="resolve digest", state="began", outcome=None)
    await say(lane, "wait", outcome="retry", message="the registry is away", retry_at="2026-11-02T10:00:00Z")
    dead = {"type": "echo.requested", "source": "/ci", "id": "dead", "stream": "DEAD", "sequence": 7}
    await say(lane, "dead", outcome="dead", message="no such image", dead=dead)

    found = {row["run"]: row for row in await rows(caller, most=4)}
    assert list(found) == ["dead", "wait", "step", "done"]
    assert {name: row["state"] for name, row in found.items()} == {
        "done": "done",
        "step": "running",
        "wait": "waiting",
        "dead": "failed",
    }
    assert (found["dead"]["cause"], found["dead"]["dead"]) == ("no such image", 7)
    assert (found["step"]["step"], found["wait"]["cause"]) == ("resolve digest", "the registry is away")
    assert {row["actor"] for row in found.values()} == {"ci"}
    assert (found["done"]["at"], found["done"]["seconds"]) == ("2026-11-02T09:30:01.000+00:00", 0.5)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?state=done", ["b", "a"]),
        ("?state=failed", ["c"]),
        ("?worker=attest", []),
        ("?type=echo.*&actor=ci", ["c", "b", "a"]),
        ("?subject=about%20b", ["b"]),
        ("?since=2026-11-02T09:30:02Z", ["c", "b"]),
        ("?until=2026-11-02T09:30:02Z", ["b", "a"]),
        ("?run=a", ["a"]),
        ("?limit=1", ["c"]),
        ("?actor=nobody", []),
    ],
)
async def test_runs_are_filtered(lane: Lane, caller: Caller, query: str, names: list[str]) -> None:
    """By worker, state, type, subject, actor, time and run."""
    await say(lane, "a", 1)
    await say(lane, "b", 2)
    await say(lane, "c", 3, outcome="dead", message="no")
    await rows(caller, most=3)
    assert [row["run"] for row in (await ask(caller, query)).json["runs"]] == names


async def test_a_list_says_how_long_it_keeps_what(caller: Caller) -> None:
    """Nobody takes what is gone for what never was."""
    kept: dict[str, Any] = {}

    async def known() -> bool:
        kept.update((await ask(caller)).json["kept"])
        return bool(kept)

    await until(known, what="how long is known")
    retention = Retention()
    assert kept == {"seconds": retention.progress_age.total_seconds(), "messages": retention.progress_per_run}


async def test_a_list_is_read_page_by_page(lane: Lane, caller: Caller) -> None:
    """The link of each page leads to the next one; what is said meanwhile moves nothing onto it."""
    for number in range(5):
        await say(lane, f"r{number}")
    await rows(caller, most=5)
    seen, query = [], "?limit=2&state=done"
    while query:
        answer = await ask(caller, query)
        seen += [row["run"] for row in answer.json["runs"]]
        link = answer.headers.get("link", "")
        query = link.partition(HERE)[2].partition(">")[0]
        await say(lane, f"late{len(seen)}")
    assert seen == ["r4", "r3", "r2", "r1", "r0"]


async def test_nobody_sees_the_runs_of_others_unless_the_policy_says_so(lane: Lane, caller: Caller) -> None:
    """Runs are listed for who opened them, and for who may see what they are about."""
    await say(lane, "mine")
    await say(lane, "theirs", actor="somebody")
    assert [row["run"] for row in await rows(caller, most=1)] == ["mine"]
    assert [row["run"] for row in await rows(caller, key=SEER_KEY, most=2)] == ["theirs", "mine"]
    assert (await ask(caller, key=SLOW_KEY)).json["runs"] == []
    assert (await caller.ask("GET", HERE)).status == 401


async def test_an_open_run_stays_that_of_whoever_opened_it(lane: Lane, caller: Caller) -> None:
    """Somebody else may bring the same event once the bus has forgotten it: its word makes the run nobody else's."""
    await say(lane, "mine", kind="started", outcome=None)
    await say(lane, "mine", 2, kind="started", outcome=None, actor="slow")
    await say(lane, "theirs", 3, actor="slow")

    assert [row["run"] for row in await rows(caller, key=SLOW_KEY, most=1)] == ["theirs"]
    assert (await ask(caller, "?run=mine&actor=slow")).json["runs"] == []
    assert [row["actor"] for row in await rows(caller, "?run=mine", most=1)] == ["ci"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("?state=lost", "state"), ("?limit=0", "limit"), ("?before=x", "before"), ("?colour=1", "colour")],
)
async def test_what_is_no_filter_is_named(caller: Caller, query: str, field: str) -> None:
    """A mistyped filter must not list everything."""
    answer = await ask(caller, query)
    assert (answer.status, answer.json["field"]) == (400, field)


@asynccontextmanager
async def listening(caller: Caller, **headers: str) -> AsyncIterator[list[tuple[str, str]]]:
    """Hear (run, state) of the rows that change."""
    got: list[tuple[str, str]] = []
    given = {"authorization": f"Bearer {KEY}", "accept": "text/event-stream"} | headers

    async def listen() -> None:
        async with aiohttp.ClientSession() as session, session.get(f"{caller.url}{HERE}", headers=given) as answer:
            async for line in answer.content:
                if line.startswith(b"data: "):
                    row = json.loads(line[6:])
                    got.append((row["run"], row["state"]))

    task = asyncio.create_task(listen())
    try:
        yield got
    finally:
        task.cancel()


async def test_a_list_can_be_followed(lane: Lane, caller: Caller, tmp_path: Path, policy: Policy) -> None:
    """First what is there, then each change; who comes back to another door gets what changed meanwhile."""
    await say(lane, "a")
    async with listening(caller) as got:
        await until(lambda: got == [("a", "done")], what="the first row")
        await say(lane, "b", kind="started", outcome=None)
        await until(lambda: got[1:] == [("b", "running")], what="the second row")
    await say(lane, "b")
    async with open_door(lane, tmp_path, policy) as other:
        await rows(other, "?state=done", most=2)
        async with listening(other, **{"last-event-id": "2"}) as got:
            await until(lambda: got == [("b", "done")], what="what changed")


async def test_a_list_whose_stream_began_anew_is_told_anew(tmp_path: Path) -> None:
    """Whoever follows it misses no row, though the sequences are lower than those that it had."""
    async with NatsServer(tmp_path) as server, lane_on(server.url) as lane:
        await lane.provision()
        fan = Fanout(lane.connection)
        index = Index(lane.connection, fan, lambda _: ("echo",))
        fan.start()
        index.start()
        for run in ("a", "b", "c", "d"):
            await say(lane, run)
        await until(lambda: index.position == 4, what="all rows")
        runs = ListDoor(index, _nobody, StreamQuota(DoorMetrics()))
        changes = runs.changes(Principal(name="x", api_keys=(hash_of("x"),), may_publish=(), may_see=(Sight(),)))
        assert [await _run_of(changes) for _ in range(4)] == ["a", "b", "c", "d"]

        stream = lane.connection.client.jetstream()
        await stream.delete_stream(PROGRESS)
        await lane.provision()
        await say(lane, "e")
        await say(lane, "f")
        await server.restart()
        assert {await _run_of(changes) for _ in range(2)} == {"e", "f"}
        await changes.aclose()
        await index.close()
        await fan.close()


async def _nobody(_: Request) -> Bearer:
    raise AssertionError("nobody asks")


async def _run_of(changes: AsyncGenerator[Told, None]) -> str:
    while (told := await anext(changes)).kind == "heartbeat":
        pass
    return str(json.loads(told.data)["run"])


async def test_a_run_that_goes_on_after_its_end_is_merged_as_a_whole(lane: Lane, caller: Caller) -> None:
    """A dead letter is replayed: the run is done, and began when it began."""
    await say(lane, "again", 1, outcome="dead", message="no")
    await rows(caller, "?state=failed", most=1)
    await say(lane, "again", 9)
    (row,) = await rows(caller, "?state=done", most=1)
    assert row["seconds"] == 8.5
