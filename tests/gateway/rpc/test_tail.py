"""A run followed over gRPC: the messages and ids of Server-Sent Events, and an end that can be resumed."""

import asyncio
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf import json_format

from tests.bus.lane import Lane, until
from tests.gateway.conftest import SLOW_KEY
from tests.gateway.live.test_progress import follow
from tests.gateway.rpc.conftest import Open, Told, event, open_doors, resume_of, say_started
from workers.gateway.principals import Policy

Status = grpc.StatusCode


async def whole(call: Any) -> list[Told]:
    """Return all that is told."""
    return [told async for told in call]


async def test_a_run_is_followed_to_its_end(doors: Open, echo: None) -> None:
    """What the worker says, then that the run is complete; the stream ends well, and has the id of the end."""
    (receipt,) = await doors.rpc.publish(event("t-1"))
    call = doors.rpc.tail(receipt.run)
    said, end = await whole(call)

    assert (said.WhichOneof("told"), end.WhichOneof("told")) == ("progress", "completed")
    assert (said.progress.kind, said.progress.outcome, said.id) == ("result", "done", str(said.progress.sequence))
    assert (end.completed.run, end.completed.state, end.completed.complete) == (receipt.run, "done", True)
    assert (await call.code(), end.id) == (Status.OK, f"{said.id}-completed")
    assert dict(await call.trailing_metadata())["sealane-resume"] == end.id


async def test_the_same_is_told_as_over_http(doors: Open, echo: None) -> None:
    """Under the same ids, word for word; and half by one, half by the other, each is told exactly once."""
    (receipt,) = await doors.rpc.publish(event("t-2"))
    told = await whole(doors.rpc.tail(receipt.run))
    events = await follow(doors.http, receipt.run)
    kinds = {"progress": "progress", "completed": "completed"}

    assert [one["id"] for one in events] == [one.id for one in told]
    for one, same in zip(told, events, strict=True):
        expected = Told()
        json_format.Parse(same["data"], getattr(expected, kinds[same["event"]]))
        expected.id = same["id"]
        assert one == expected
    assert await whole(doors.rpc.tail(receipt.run, events[0]["id"])) == told[1:]
    assert await follow(doors.http, receipt.run, last_event_id=told[0].id) == events[1:]
    call = doors.rpc.tail(receipt.run, told[1].id)
    assert (await whole(call), await call.code()) == ([], Status.OK)


async def test_what_is_said_later_comes_at_once(lane: Lane, doors: Open) -> None:
    """A follower that waits hears the next message, and one that brings a later id only that."""
    (receipt,) = await doors.rpc.publish(event("t-3"))
    await say_started(lane, receipt.run)
    call = doors.rpc.tail(receipt.run)
    assert (await call.read()).id == "1"
    later = doors.rpc.tail(receipt.run, "1")
    await later.wait_for_connection()
    await say_started(lane, receipt.run, 1)
    assert [(await one.read()).id for one in (call, later)] == ["2", "2"]
    for one in (call, later):
        one.cancel()


@pytest.mark.parametrize("place", ["text", "-1", "1e3", "9" * 20])
async def test_what_is_no_place_is_refused(doors: Open, place: str) -> None:
    """A wrong id is no reason to begin anew in silence."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await whole(doors.rpc.tail("anything", place))
    assert (refused.value.code(), "no place to go on from" in (refused.value.details() or "")) == (
        Status.INVALID_ARGUMENT,
        True,
    )


async def test_an_id_from_the_future_is_a_gap(lane: Lane, doors: Open) -> None:
    """Whoever has an id that the stream never had is told so, and begins anew."""
    (receipt,) = await doors.rpc.publish(event("t-4"))
    await say_started(lane, receipt.run)
    call = doors.rpc.tail(receipt.run, "4711")
    gap, said = await call.read(), await call.read()
    call.cancel()
    assert (gap.id, gap.gap.reason, gap.gap.after, gap.gap.last, said.id) == ("", "reset", 4711, 1, "1")


async def test_a_run_of_somebody_else_is_unknown(doors: Open, echo: None) -> None:
    """As one that is none; a name that is no id is told apart, and nobody is told to say who it is."""
    (receipt,) = await doors.rpc.publish(event("t-5"))
    await whole(doors.rpc.tail(receipt.run))
    cases = (
        (receipt.run, SLOW_KEY, Status.NOT_FOUND),
        (receipt.run, None, Status.UNAUTHENTICATED),
        ("progress.>", SLOW_KEY, Status.INVALID_ARGUMENT),
        ("*", SLOW_KEY, Status.INVALID_ARGUMENT),
    )
    for run, key, status in cases:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await whole(doors.rpc.tail(run, key=key))
        assert refused.value.code() == status


async def test_cancel_and_deadline_free_everything(lane: Lane, doors: Open) -> None:
    """Whoever goes, or runs out of time, is no longer watched for: nothing of it stays in the door."""
    (receipt,) = await doors.rpc.publish(event("t-6"))
    await say_started(lane, receipt.run)
    fanout = doors.door.live.fanout
    before = fanout.watches
    calls = [doors.rpc.tail(receipt.run) for _ in range(10)]
    for call in calls:
        assert (await call.read()).id == "1"
    assert fanout.watches == before + 10
    for call in calls:
        call.cancel()
    hurried = doors.rpc.tail(receipt.run, timeout=5)
    assert (await hurried.read()).id == "1"
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await hurried.read()
    assert ended.value.code() == Status.DEADLINE_EXCEEDED
    await until(lambda: fanout.watches == before and not doors.rpc_door.telling)


async def test_one_stream_too_many_is_told_so(lane: Lane, tmp_path: Path, policy: Policy) -> None:
    """What one process holds is bounded; when somebody goes there is a place again."""
    async with open_doors(lane, tmp_path, policy, most=3) as doors:
        (receipt,) = await doors.rpc.publish(event("t-9"))
        await say_started(lane, receipt.run)
        calls = [doors.rpc.tail(receipt.run) for _ in range(3)]
        for call in calls:
            assert (await call.read()).id == "1"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await doors.rpc.tail(receipt.run).read()
        assert refused.value.code() == Status.RESOURCE_EXHAUSTED
        calls[0].cancel()
        await until(lambda: doors.rpc_door.telling == 2)
        last = doors.rpc.tail(receipt.run)
        assert (await last.read()).id == "1"
        for call in (*calls, last):
            call.cancel()


async def test_a_door_that_closes_ends_its_streams_at_once_with_a_resume_token(
    lane: Lane, tmp_path: Path, policy: Policy, doors: Open
) -> None:
    """Not after the grace: a follower hears at which id it goes on, and does so at another replica."""
    (receipt,) = await doors.rpc.publish(event("t-7"))
    await say_started(lane, receipt.run)
    loop = asyncio.get_running_loop()
    async with open_doors(lane, tmp_path, policy, grace=600.0) as other:
        call = other.rpc.tail(receipt.run)
        assert (await call.read()).id == "1"
        begun = loop.time()
        stopping = asyncio.create_task(other.rpc_door.stop())
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call.read()
        await stopping
        assert loop.time() - begun < 60
    assert (ended.value.code(), resume_of(ended.value)) == (Status.UNAVAILABLE, "1")
    await say_started(lane, receipt.run, 1)
    goes_on = doors.rpc.tail(receipt.run, resume_of(ended.value) or "")
    assert (await goes_on.read()).id == "2"
    goes_on.cancel()


async def test_a_follower_that_reads_nothing_is_cut_off(lane: Lane, tmp_path: Path, policy: Policy) -> None:
    """It holds nothing in the door after a while, and slows nobody; when it reads again it learns where to go on."""
    async with open_doors(lane, tmp_path, policy, stuck=1.0) as doors:
        (receipt,) = await doors.rpc.publish(event("t-8"))
        await say_started(lane, receipt.run)
        idle = doors.rpc.tail(receipt.run)
        assert (await idle.read()).id == "1"
        fanout = doors.door.live.fanout
        before = fanout.watches
        line = "x" * 60_000
        n = 0
        async with asyncio.timeout(90):
            while fanout.watches == before:
                n += 1
                await say_started(lane, receipt.run, n, message=line)
        found = ["1"]
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await _read_on(idle, found)
        assert (ended.value.code(), resume_of(ended.value)) == (Status.UNAVAILABLE, found[-1])
        assert found == [str(sequence) for sequence in range(1, len(found) + 1)]
        assert len(found) < n
        goes_on = doors.rpc.tail(receipt.run, found[-1])
        assert (await goes_on.read()).id == str(len(found) + 1)
        goes_on.cancel()


async def _read_on(call: Any, found: list[str]) -> None:
    while True:
        found.append((await call.read()).id)
