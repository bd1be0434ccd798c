"""A door over gRPC beside the one over HTTP, and somebody who calls it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from tests.bus.lane import Lane
from tests.gateway.conftest import KEY, Caller
from workers.adapters.key_sets import fetch_key_set
from workers.bus.topology.identities import read_seed
from workers.bus.transport.connection import connect
from workers.gateway.keysets import FetchKeys
from workers.gateway.pb.io.cloudevents.v1.cloudevents_pb2 import CloudEvent
from workers.gateway.pb.sealane.v1 import (
    events_pb2,
    events_pb2_grpc,
    progress_pb2,
    progress_pb2_grpc,
    runs_pb2,
    runs_pb2_grpc,
)
from workers.gateway.principals import Policy
from workers.gateway.rpc.server import RpcDoor
from workers.gateway.server import Door

Told = progress_pb2.TailResponse
_KINDS = (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo)


def bearing(key: str | None) -> tuple[tuple[str, str], ...]:
    """Return the metadata of somebody with a key."""
    return () if key is None else (("authorization", f"Bearer {key}"),)


def event(event_id: str, data: str = '{"message": "hello"}', **members: Any) -> CloudEvent:
    """Return an `echo.requested`."""
    given = {"id": event_id, "source": "/ci", "type": "echo.requested", "spec_version": "1.0", "text_data": data}
    return CloudEvent(**(given | members))


class RpcCaller:
    """Calls a door over a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self._events = events_pb2_grpc.EventsStub(channel)
        self._progress = progress_pb2_grpc.ProgressStub(channel)
        self._runs = runs_pb2_grpc.RunsStub(channel)

    async def publish(self, *events: CloudEvent, key: str | None = KEY) -> list[events_pb2.Receipt]:
        """Bring events."""
        request = events_pb2.PublishRequest(events=events)
        return list((await self._events.Publish(request, metadata=bearing(key), timeout=60)).receipts)

    def tail(self, run: str, after: str = "", *, key: str | None = KEY, timeout: float = 100) -> Any:
        """Follow a run: iterate over what is returned, or cancel it."""
        request = progress_pb2.TailRequest(run=run, after=after)
        return self._progress.Tail(request, metadata=bearing(key), timeout=timeout)

    async def list(self, *, key: str | None = KEY, **wanted: Any) -> runs_pb2.ListResponse:
        """List runs."""
        answer: runs_pb2.ListResponse = await self._runs.List(
            runs_pb2.ListRequest(**wanted), metadata=bearing(key), timeout=60
        )
        return answer


def details(error: grpc.aio.AioRpcError) -> dict[str, Message]:
    """Return the details of an error by the name of their kind."""
    status = rpc_status.from_call(error)
    found: dict[str, Message] = {}
    for packed in status.details if status else ():
        for kind in _KINDS:
            message = kind()
            if packed.Unpack(message):
                found[kind.__name__] = message
    return found


def resume_of(error: grpc.aio.AioRpcError) -> str | None:
    """Return the id to go on after."""
    return dict(error.trailing_metadata()).get("sealane-resume")


@dataclass(slots=True)
class Open:
    """A door that is open."""

    http: Caller
    rpc: RpcCaller
    door: Door
    rpc_door: RpcDoor
    place: str


@asynccontextmanager
async def open_doors(
    lane: Lane, folder: Path, policy: Policy, *, fetch_keys: FetchKeys = fetch_key_set, **options: Any
) -> AsyncIterator[Open]:
    """Open both doors."""
    connection = await connect(lane.url, identity="gateway", seed=read_seed(folder, "gateway"), first_wait=30)
    door = Door(connection, policy, fetch_keys)
    rpc = RpcDoor(connection, door, **options)
    try:
        port = await door.start(0)
        place = f"127.0.0.1:{await rpc.start(0)}"
        async with aiohttp.ClientSession() as session, grpc.aio.insecure_channel(place) as channel:
            yield Open(Caller(f"http://127.0.0.1:{port}", session), RpcCaller(channel), door, rpc, place)
    finally:
        await rpc.stop()
        await door.stop()
        await connection.close()


@pytest.fixture
async def doors(lane: Lane, tmp_path: Path, policy: Policy) -> AsyncIterator[Open]:
    """Give both doors."""
    async with open_doors(lane, tmp_path, policy) as found:
        yield found


async def say_started(lane: Lane, run: str, n: int = 0, **more: str) -> None:
    """Say that `echo` began with the event of a run: it is not complete."""
    message = {"kind": "started", "worker": "echo", "run": run, "attempt": 1, "n": n, "at": "2026-11-02T09:30:00Z"}
    reference = {"type": "echo.requested", "source": "/ci", "id": run, "stream": "EVENTS", "sequence": 1}
    await lane.publisher.publish(f"progress.echo.{run}", json.dumps(message | more | {"event": reference}).encode())
