"""The bus goes away under those who call over gRPC, and comes back."""

from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from tests.bus.lane import lane_on
from tests.gateway.rpc.conftest import details, event, open_doors, say_started
from workers.bus.rooms import all_wirings
from workers.bus.topology.identities import ensure_identities, read_seed
from workers.bus.topology.permissions import Permissions, derive, render
from workers.gateway.principals import Policy
from workers.local.nats import NatsServer


async def test_followers_wait_for_the_bus_and_miss_nothing(tmp_path: Path, policy: Policy) -> None:
    """Who calls meanwhile hears when to come again; who follows goes on with what was said after."""
    permissions = derive(all_wirings().values()) | {"tester": Permissions(publish=(">",), subscribe=(">",))}
    keys = ensure_identities(tmp_path, permissions)
    async with (
        NatsServer(tmp_path / "nats", authorization=render(permissions, keys)) as server,
        lane_on(server.url, seed=read_seed(tmp_path, "tester")) as lane,
    ):
        await lane.provision(*all_wirings().values())
        async with open_doors(lane, tmp_path, policy) as doors:
            (receipt,) = await doors.rpc.publish(event("w-1"))
            await say_started(lane, receipt.run)
            following = doors.rpc.tail(receipt.run)
            assert (await following.read()).id == "1"
            await server.kill()
            for call in (doors.rpc.publish(event("w-2")), doors.rpc.tail(receipt.run).read()):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await call
                found: dict[str, Any] = details(refused.value)
                assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
                assert found["RetryInfo"].retry_delay.seconds >= 1
            await server.start()
            await say_started(lane, receipt.run, 1)
            told = await following.read()
            while told.WhichOneof("told") == "waiting":
                told = await following.read()
            assert told.id == "2"
            following.cancel()
            assert await doors.rpc.publish(event("w-1")) == [receipt]
