"""A run followed at the door by Server-Sent Events, as a browser and curl do it."""

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import pytest

from tests.bus.lane import Lane
from tests.gateway.conftest import KEY, SLOW_KEY, Caller, open_door
from workers.gateway.live import progress
from workers.gateway.principals import Policy

Event = dict[str, str]


async def follow(
    caller: Caller, run: str, *, most: int | None = None, at: str = "/progress/", **headers: str
) -> list[Event]:
    """Return the events of a run, to the end or as many as are wanted."""
    found: list[Event] = []
    given = {"authorization": f"Bearer {KEY}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{caller.url}{at}{run}", headers=given) as answer,
    ):
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        event: Event = {}
        async for line in answer.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                event[name] = value
            elif "data" in event:
                found.append(event)
                event = {}
                if len(found) == most:
                    break
            else:
                event = {}
    return found


async def test_a_run_is_followed_to_its_end(caller: Caller, echo: None) -> None:
    """Whoever brought an event hears what the workers say, then that the run is complete, and the stream ends."""
    run = (await caller.echo("p-1")).json["run"]
    events = await follow(caller, run)

    assert [event["event"] for event in events] == ["progress", "completed"]
    said, end = (json.loads(event["data"]) for event in events)
    assert (said["kind"], said["outcome"], str(said["sequence"])) == ("result", "done", events[0]["id"])
    assert (end["run"], end["state"], events[1]["id"]) == (run, "done", f"{events[0]['id']}-completed")


async def test_who_comes_back_with_an_id_goes_on_after_it_at_any_door(
    lane: Lane, tmp_path: Path, policy: Policy, caller: Caller, echo: None
) -> None:
    """Another replica goes on exactly there; the id of the end is answered 204, so that a browser stops."""
    run = (await caller.echo("p-2")).json["run"]
    first, end = await follow(caller, run)
    async with open_door(lane, tmp_path, policy) as other:
        assert await follow(other, run, last_event_id=first["id"]) == [end]
        assert await follow(other, f"{run}?after=0") == [first, end]
        headers = {"authorization": f"Bearer {KEY}", "last-event-id": end["id"]}
        assert (await other.ask("GET", f"/progress/{run}", headers=headers)).status == 204


@pytest.mark.parametrize("place", ["text", "-1", "1e3", "9" * 20])
async def test_what_is_no_place_is_refused(caller: Caller, place: str) -> None:
    """A wrong id is no reason to begin anew in silence."""
    headers = {"authorization": f"Bearer {KEY}", "last-event-id": place}
    answer = await caller.ask("GET", "/progress/anything", headers=headers)
    assert (answer.status, answer.json["attribute"]) == (400, "Last-Event-ID")


async def test_a_run_of_somebody_else_cannot_be_followed(
    caller: Caller, echo: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is as unknown as one that is none, and told as late; nobody at all is told to say who it is."""
    monkeypatch.setattr(progress, "_FIRST_WORD", 0.5)
    run = (await caller.echo("p-3")).json["run"]
    await follow(caller, run)
    for key, status in ((SLOW_KEY, 404), (None, 401)):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        assert (await caller.ask("GET", f"/progress/{run}", headers=headers)).status == status
    for name in (run, "unknown"):
        begun = time.monotonic()
        answer = await caller.ask("GET", f"/progress/{name}", headers={"authorization": f"Bearer {SLOW_KEY}"})
        assert answer.status == 404
        assert time.monotonic() - begun >= 0.5


async def test_a_door_that_closes_ends_its_streams_at_once(
    lane: Lane, tmp_path: Path, policy: Policy, caller: Caller
) -> None:
    """A follower of a run that goes on sees the end of the stream, and has an id to go on with elsewhere."""
    run = (await caller.echo("p-4")).json["run"]
    message = {"kind": "started", "worker": "echo", "run": run, "attempt": 1, "n": 0, "at": "2026-11-02T09:30:00Z"}
    event = {"type": "echo.requested", "source": "/ci", "id": "p-4", "stream": "EVENTS", "sequence": 1}
    await lane.publisher.publish(f"progress.echo.{run}", json.dumps(message | {"event": event}).encode())
    async with open_door(lane, tmp_path, policy) as other:
        following = asyncio.create_task(follow(other, run))
        assert [one["id"] for one in await follow(other, run, most=1)] == ["1"]
    assert [one["id"] for one in await following] == ["1"]


async def test_an_event_that_waits_for_its_worker_is_followed_from_the_start(caller: Caller, lane: Lane) -> None:
    """No worker has said a word: whoever brought the event sees what it waits for, and hears the first word."""
    run = (await caller.echo("p-5")).json["run"]
    headers = {"authorization": f"Bearer {KEY}"}
    shown = (await caller.ask("GET", f"/runs/{run}", headers=headers)).json
    assert [(branch["worker"], branch["state"]) for branch in shown["branches"]] == [("echo", "queued")]

    following = asyncio.create_task(follow(caller, run))
    message = {"kind": "result", "outcome": "done", "worker": "echo", "run": run, "attempt": 1, "n": 1}
    event = {"type": "echo.requested", "source": "/ci", "id": "p-5", "stream": "EVENTS", "sequence": 1}
    said = json.dumps(message | {"event": event, "at": "2026-11-02T09:30:00Z"})
    await lane.publisher.publish(f"progress.echo.{run}", said.encode())
    assert [one["event"] for one in await following] == ["progress", "completed"]


async def test_a_run_is_followed_by_the_id_of_its_event(caller: Caller, echo: None) -> None:
    """Whoever brought it need not remember the run: the id of its own is enough, with its source beyond doubt."""
    event_id = "builds/17/shop@sha256:0"
    run = (await caller.echo(event_id)).json["run"]
    events = await follow(caller, run)

    async def by_id(query: str) -> list[Event]:
        return await follow(caller, query, at="/events/")

    assert await by_id(f"{event_id}?source=/ci") == events
    assert await by_id(event_id) == events
    assert await by_id(run) == events
    headers = {"authorization": f"Bearer {SLOW_KEY}"}
    assert (await caller.ask("GET", f"/events/{event_id}", headers=headers)).status == 404


async def test_a_log_of_ten_megabytes_is_told_once_and_as_it_is(caller: Caller, lane: Lane) -> None:
    """Whatever its lines hold: escapes of a terminal, turned letters, ends of lines; others are served meanwhile."""
    run = (await caller.echo("p-7")).json["run"]
    line = "\x1b[31mred\x1b[0m \u202etxt.exe\r\n\ndata: {}\nid: 9\u2028" + "x" * 50_000
    said = {"kind": "log", "worker": "echo", "run": run, "attempt": 1, "at": "2026-11-02T09:30:00Z", "message": line}
    event = {"type": "echo.requested", "source": "/ci", "id": "p-7", "stream": "EVENTS", "sequence": 1}
    count = 210
    await lane.publisher.publish(
        f"progress.echo.{run}", json.dumps(said | {"kind": "started", "n": 0, "message": None, "event": event}).encode()
    )
    for number in range(1, count):
        body = json.dumps(said | {"n": number, "event": event}).encode()
        await lane.publisher.publish(f"progress.echo.{run}", body)
    following = asyncio.create_task(follow(caller, run, most=count))
    assert (await caller.echo("meanwhile")).status == 202
    events = await following

    assert [one["id"] for one in events] == [str(number) for number in range(1, count + 1)]
    told = [json.loads(one["data"])["message"] for one in events[1:]]
    assert told == [line] * (count - 1)
    assert sum(map(len, told)) > 10_000_000
