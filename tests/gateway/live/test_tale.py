"""What a follower of a run is told, wherever it begins and whatever happens meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.progress import EventRef, ProgressMessage
from tests.bus.lane import Lane, lane_on, until
from workers.bus.doors import fanout
from workers.bus.doors.fanout import Bounds, Fanout
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import ApiError
from workers.gateway.live.tale import Place, Tale, Told
from workers.local.nats import NatsServer

RUN = "run-1"
BEGINNING = Place()
ROOT = EventRef(type="echo.requested", source="/tests", id="1", stream="EVENTS", sequence=1)


@pytest.fixture
async def lane(tmp_path: Path) -> AsyncIterator[Lane]:
    """Give a bus with the shared streams."""
    async with NatsServer(tmp_path) as server, lane_on(server.url) as found:
        await found.provision()
        yield found


@pytest.fixture
async def fan(lane: Lane) -> AsyncIterator[Fanout]:
    """Give what follows PROGRESS."""
    found = Fanout(lane.connection)
    found.start()
    yield found
    await found.close()


def said(n: int, *, kind: str = "", attempt: int = 1, **more: Any) -> ProgressMessage:
    """Return the nth thing said of the root by `echo`."""
    kind = kind or ("log" if n else "started")
    known = {"worker": "echo", "run": RUN, "event": ROOT, "attempt": attempt, "n": n, "at": datetime.now(UTC)}
    return ProgressMessage.model_validate(known | {"kind": kind, "message": f"line {n}"} | more)


def result(n: int) -> ProgressMessage:
    """Return the end of the handling."""
    return said(n, kind="result", outcome="done", message=None)


async def store(lane: Lane, messages: Iterable[ProgressMessage], run: str = RUN) -> None:
    """Say something, in order."""
    sending = (lane.publisher.publish(f"progress.echo.{run}", one.model_dump_json().encode()) for one in messages)
    await asyncio.gather(*sending)


def consumers(event_type: str) -> tuple[str, ...]:
    """Name who consumes a type."""
    return ("echo",) if event_type == ROOT.type else ()


def tale(lane: Lane, fan: Fanout, place: Place = BEGINNING) -> Tale:
    """Return the tale of the run from a place on."""
    return Tale(lane.connection, fan, RUN, consumers, place, heartbeat=0.2)


async def heard(told: Tale) -> list[Told]:
    """Listen to the end."""
    return [one async for one in told.told() if one.kind != "heartbeat"]


def ids(told: Iterable[Told]) -> list[str | None]:
    """Return the ids of what was told."""
    return [one.id for one in told]


async def test_history_comes_first_then_what_happens_then_the_end(lane: Lane, fan: Fanout) -> None:
    """Each message comes once, in the order of the sequences; the run's record ends the tale."""
    await store(lane, map(said, range(3)))
    listening = asyncio.create_task(heard(tale(lane, fan)))
    await until(lambda: fan.watches == 1, what="somebody listens")
    await store(lane, [said(3), result(4)])

    told = await listening
    assert ids(told) == ["1", "2", "3", "4", "5", "5-completed"]
    assert [json.loads(one.data)["sequence"] for one in told[:-1]] == [1, 2, 3, 4, 5]
    assert json.loads(told[-1].data)["state"] == "done"
    assert fan.watches == 0


@pytest.mark.parametrize("after", range(6))
async def test_who_comes_back_gets_what_it_has_not(lane: Lane, fan: Fanout, after: int) -> None:
    """Together with what was heard before, every sequence is there exactly once."""
    await store(lane, [*map(said, range(4)), result(4)])
    told = await heard(tale(lane, fan, Place(after)))
    assert ids(told) == [*map(str, range(after + 1, 6)), "5-completed"]


async def test_who_knows_the_end_is_told_nothing(lane: Lane, fan: Fanout) -> None:
    """The id of the end leads to silence."""
    await store(lane, [said(0), result(1)])
    assert await heard(tale(lane, fan, Place(2, completed=True))) == []


async def test_a_place_beyond_the_end_is_a_stream_that_began_anew(lane: Lane, fan: Fanout) -> None:
    """It is said, and all that there is follows."""
    await store(lane, [said(0), result(1)])
    told = await heard(tale(lane, fan, Place(99)))
    assert [one.kind for one in told] == ["gap", "progress", "progress", "completed"]
    assert json.loads(told[0].data) == {"reason": "reset", "after": 99, "last": 2}


async def test_what_is_no_longer_kept_is_a_gap(lane: Lane, fan: Fanout) -> None:
    """Both who comes back too late and who comes for the first time are told."""
    await store(lane, [*map(said, range(4)), result(4)])
    await lane.connection.client.jetstream().purge_stream("PROGRESS", seq=4)

    late, first = await heard(tale(lane, fan, Place(1))), await heard(tale(lane, fan))
    assert json.loads(late[0].data) == {"reason": "expired", "after": 1, "first": 4}
    assert json.loads(first[0].data) == {"reason": "trimmed", "before": 4}
    assert ids(late[1:]) == ids(first[1:]) == ["4", "5", "5-completed"]


async def test_a_follower_that_does_not_keep_up_loses_nothing(
    lane: Lane, fan: Fanout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More comes than a watch holds: it reads on from the stream."""
    monkeypatch.setattr(fanout, "_MOST", 4)
    async with aclosing(tale(lane, fan).told()) as told:
        await store(lane, [said(0)])
        got = [await anext(told)]
        await store(lane, [*map(said, range(1, 50)), result(50)])
        await until(lambda: fan.position == 51, what="all was fanned out")
        got += [one async for one in told if one.kind != "heartbeat"]
    assert ids(got) == [*map(str, range(1, 52)), "51-completed"]


async def test_silence_is_broken_by_heartbeats_and_the_close_ends_it(lane: Lane, fan: Fanout) -> None:
    """A follower of a quiet run hears that the line is open; the end of the door is the end of the tale."""
    await store(lane, [said(0)])
    async with aclosing(tale(lane, fan).told()) as told:
        kinds = [(await anext(told)).kind for _ in range(3)]
        await fan.close()
        rest = [one async for one in told]
    assert (kinds, rest) == (["progress", "heartbeat", "heartbeat"], [])


@asynccontextmanager
async def following(told: Tale) -> AsyncIterator[list[Told]]:
    """Listen in the background."""
    got: list[Told] = []

    async def listen() -> None:
        async for one in told.told():
            if one.kind != "heartbeat":
                got.append(one)  # noqa: PERF401 - read while it grows

    task = asyncio.create_task(listen())
    yield got
    task.cancel()


async def test_a_server_that_cannot_say_what_it_holds_is_waited_for(
    lane: Lane, fan: Fanout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it refuses while a leader is looked for: the follower is told, and then all there is."""
    answers = [ApiError("$JS.API.STREAM.INFO.PROGRESS", 10008, "JetStream system temporarily unavailable")]

    async def refused_once(connection: Connection) -> Bounds:
        if answers:
            raise answers.pop()
        return await fanout.bounds(connection)

    monkeypatch.setattr("workers.gateway.live.tale.bounds", refused_once)
    await store(lane, [said(0), result(1)])
    told = await heard(tale(lane, fan))
    assert [one.kind for one in told] == ["waiting", "progress", "progress", "completed"]
    assert "temporarily unavailable" in told[0].data.decode()


async def test_a_server_that_is_away_is_told_and_lost_nothing(tmp_path: Path) -> None:
    """The follower hears of what was said after the server was back, once."""
    server = NatsServer(tmp_path)
    await server.start()
    async with lane_on(server.url) as lane:
        await lane.provision()
        fan = Fanout(lane.connection)
        fan.start()
        await store(lane, [said(0)])
        async with following(tale(lane, fan)) as got:
            await until(lambda: ids(got) == ["1"], what="the first message")
            await server.kill()
            await server.start()
            await store(lane, [said(1), result(2)])
            await until(lambda: ids(got)[-1] == "3-completed", what="the end")
        assert [one for one in ids(got) if one] == ["1", "2", "3", "3-completed"]
        await fan.close()
    await server.stop()
