"""The server itself: health, reflection, the list of runs, what is counted, and an end in order."""

import asyncio
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.bus.lane import Lane, until
from tests.gateway.conftest import KEY, SLOW_KEY
from tests.gateway.rpc.conftest import Open, bearing, details, event, open_doors
from workers.bus.rooms import all_wirings
from workers.bus.topology.streams import LEDGER
from workers.gateway.principals import Policy
from workers.gateway.rpc.health import Health

Status = grpc.StatusCode
SERVICES = ("sealane.v1.Events", "sealane.v1.Progress", "sealane.v1.Runs")


async def test_health_is_watched_to_the_end(lane: Lane, tmp_path: Path, policy: Policy) -> None:
    """Each service says that it serves; whoever watches hears that it ends, before the connection does."""
    async with open_doors(lane, tmp_path, policy, grace=600.0) as doors:
        stub = health_pb2_grpc.HealthStub(doors.rpc.channel)
        for name in ("", *SERVICES):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=60)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        watching = stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
        stopping = asyncio.create_task(doors.rpc_door.stop())
        assert (await watching.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await watching.read() is grpc.aio.EOF
        await stopping


async def test_watchers_that_read_nothing_hold_up_nobody() -> None:
    """Anybody may watch, a few at a time; one that is stuck is let go, and others hear the news before that."""
    health = Health(SERVICES, most=2, stuck=1.0)
    stuck: Any = Watcher(reads=False)
    reader: Any = Watcher(reads=True)
    watching = [asyncio.create_task(health.watch(health_pb2.HealthCheckRequest(), one)) for one in (stuck, reader)]
    await until(lambda: len(reader.heard) == 1)
    with pytest.raises(Aborted, match="RESOURCE_EXHAUSTED"):
        await health.watch(health_pb2.HealthCheckRequest(), reader)
    health.say(serves=True)
    await until(lambda: len(reader.heard) == 2)
    with pytest.raises(Aborted, match="UNAVAILABLE"):
        await watching[0]
    health.end()
    health.say(serves=True)
    await watching[1]
    assert [answer.status for answer in reader.heard] == [2, 1, 2]


class Aborted(Exception):
    """A call was ended with a status."""


class Watcher:
    """The other end of a watch, as gRPC gives it."""

    def __init__(self, *, reads: bool) -> None:
        self.heard: list[Any] = []
        self._reads = reads

    async def write(self, answer: Any) -> None:
        """Take an answer, or never."""
        if not self._reads:
            await asyncio.Event().wait()
        self.heard.append(answer)

    async def abort(self, code: grpc.StatusCode, _: str) -> None:
        """End the call."""
        raise Aborted(code.name)


async def test_health_is_that_of_what_is_needed(lane: Lane, doors: Open) -> None:
    """A door that cannot remember serves nothing, over gRPC as over HTTP, and serves again when it can."""
    stub = health_pb2_grpc.HealthStub(doors.rpc.channel)
    watching = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICES[0]), timeout=100)
    assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
    await lane.connection.client.jetstream().delete_stream(LEDGER)
    assert (await watching.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    await lane.provision(*all_wirings().values())
    assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
    watching.cancel()


@pytest.mark.parametrize("reflection", [True, False])
async def test_what_is_served_is_told_where_it_is_asked_for(
    lane: Lane, tmp_path: Path, policy: Policy, *, reflection: bool
) -> None:
    """With reflection the services are listed; without, that is unimplemented."""
    async with open_doors(lane, tmp_path, policy, reflection=reflection) as doors:
        stub = reflection_pb2_grpc.ServerReflectionStub(doors.rpc.channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        if reflection:
            answers = [answer async for answer in stub.ServerReflectionInfo(iter([request]), timeout=60)]
            told = {service.name for service in answers[0].list_services_response.service}
            assert set(SERVICES) <= told
        else:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                _ = [answer async for answer in stub.ServerReflectionInfo(iter([request]), timeout=60)]
            assert refused.value.code() == Status.UNIMPLEMENTED


async def test_runs_are_listed_as_over_http(doors: Open, echo: None) -> None:
    """The same rows in the same order, filtered and paged; a principal sees its own."""
    receipts = await doors.rpc.publish(*(event(f"l-{number}") for number in range(5)))
    for receipt in receipts:
        _ = [told async for told in doors.rpc.tail(receipt.run)]
    headers = {"authorization": f"Bearer {KEY}"}
    page = await doors.rpc.list(limit=3)
    rest = await doors.rpc.list(limit=3, before=page.next_before)
    rows = (await doors.http.ask("GET", "/runs", headers=headers)).json["runs"]

    assert ([row.run for row in (*page.runs, *rest.runs)], page.complete) == ([row["run"] for row in rows], True)
    assert {row["run"] for row in rows} == {receipt.run for receipt in receipts}
    assert rest.HasField("next_before") is False
    for row, same in zip((*page.runs, *rest.runs), rows, strict=True):
        assert json_format.ParseDict(same, type(row)()) == row
    assert [row.run for row in (await doors.rpc.list(run=receipts[2].run)).runs] == [receipts[2].run]
    assert not (await doors.rpc.list(since={"seconds": 4_000_000_000})).runs
    assert not (await doors.rpc.list(key=SLOW_KEY)).runs


@pytest.mark.parametrize(("wanted", "field"), [({"state": "lost"}, "state"), ({"limit": 501}, "limit")])
async def test_filter_that_is_none_is_refused(doors: Open, wanted: dict[str, Any], field: str) -> None:
    """The details name the field."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await doors.rpc.list(**wanted)
    found: dict[str, Any] = details(refused.value)
    assert refused.value.code() == Status.INVALID_ARGUMENT
    assert [violation.field for violation in found["BadRequest"].field_violations] == [field]


@pytest.mark.parametrize(
    ("method", "request_bytes"),
    [
        ("Events/Publish", b"\xff\xff\xff"),
        ("Progress/Tail", b"\n\x02\xff\xfe"),
        ("Runs/List", b"\x12\x7f"),
    ],
)
async def test_what_is_no_message_is_refused_and_not_read_for_strangers(
    doors: Open, caplog: pytest.LogCaptureFixture, method: str, request_bytes: bytes
) -> None:
    """A principal hears what it should have been; a stranger, who it must be; neither fills the log with traces."""
    call: Any = doors.rpc.channel.unary_unary(f"/sealane.v1.{method}")
    for key, status in ((KEY, Status.INVALID_ARGUMENT), (None, Status.UNAUTHENTICATED)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request_bytes, metadata=bearing(key), timeout=60)
        assert refused.value.code() == status
    assert "Traceback" not in caplog.text


async def test_time_that_is_none_is_refused(doors: Open) -> None:
    """Timestamps hold more than there is of time: the field is named."""
    never = {"seconds": 10**15}
    calls = (
        (doors.rpc.publish(event("never", attributes={"time": {"ce_timestamp": never}})), "events[0].time"),
        (doors.rpc.list(since=never), "since"),
    )
    for call, field in calls:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        found: dict[str, Any] = details(refused.value)
        assert refused.value.code() == Status.INVALID_ARGUMENT
        assert [violation.field for violation in found["BadRequest"].field_violations] == [field]


async def test_calls_and_denials_are_counted(doors: Open) -> None:
    """By service, status and principal; a stream counts when it ends."""
    await doors.rpc.publish(event("k-1"))
    for call in (doors.rpc.publish(event("k-2"), key=None), doors.rpc.publish(event("k-3", source="/slow/1"))):
        with pytest.raises(grpc.aio.AioRpcError):
            await call
    with pytest.raises(grpc.aio.AioRpcError):
        await doors.rpc.tail("no run!").read()

    counted = doors.door.metrics
    assert counted.requests == {
        ("sealane.v1.Events/Publish", "OK", "ci"): 1,
        ("sealane.v1.Events/Publish", "UNAUTHENTICATED", ""): 1,
        ("sealane.v1.Events/Publish", "PERMISSION_DENIED", "ci"): 1,
        ("sealane.v1.Progress/Tail", "INVALID_ARGUMENT", "ci"): 1,
    }
    assert counted.events == {("echo.requested", "ci"): 1}
    assert counted.denials == {"token": 1, "source": 1}


async def test_what_fails_inside_tells_nothing_of_it(
    doors: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours is in the log; the caller hears that there is one, and no more."""

    async def fails(*_: object) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr(doors.door.events, "bring", fails)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await doors.rpc.publish(event("i-1"))
    assert failed.value.code() == Status.INTERNAL
    assert "canary" not in str(failed.value)
    assert "canary" in caplog.text
