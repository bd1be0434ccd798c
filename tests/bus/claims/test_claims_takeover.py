"""A silent holder is waited out, then taken over; when it wakes up it can do no harm to the claim."""

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from workers.bus.claims.claims import NatsClaims
from workers.bus.transport.connection import Connection
from workers.bus.transport.publisher import Publisher
from workers.failures import LeaseLost
from workers.local.nats import NatsServer
from workers.ports import Json, Lease

LEASE = 2.0
_HOLDER = """
import asyncio, sys
from datetime import timedelta
from workers.bus.claims.claims import NatsClaims
from workers.bus.transport.connection import connect
from workers.bus.transport.publisher import Publisher
from workers.failures import LeaseLost


async def work(lease):
    await lease.mark("about to act")
    print("begun", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print("left", lease.left(), flush=True)
    return {"by": "holder"}


async def main():
    connection = await connect(sys.argv[1], identity="holder", first_wait=30)
    publisher = Publisher(connection)
    await publisher.start()
    claims = NatsClaims(connection, publisher, "sign", lease=timedelta(seconds=float(sys.argv[2])), owner="holder")
    try:
        print("result", await claims.once("key", work), flush=True)
    except LeaseLost as error:
        print("lost:", error, flush=True)
    await publisher.close()
    await connection.close()


asyncio.run(main())
"""


@asynccontextmanager
async def _holder(server: NatsServer) -> AsyncIterator[Process]:
    """Run a process that holds the claim `key` and waits for a line before it goes on."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _HOLDER,
        server.url,
        str(LEASE),
        stdin=PIPE,
        stdout=PIPE,
        cwd=Path(__file__).parents[3],
    )
    try:
        assert await _line(process) == "begun"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _line(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await process.stdout.readline()).decode().strip()


@asynccontextmanager
async def _taker(connection: Connection, lease: float = LEASE) -> AsyncIterator[NatsClaims]:
    publisher = Publisher(connection)
    await publisher.start()
    yield NatsClaims(connection, publisher, "sign", lease=timedelta(seconds=lease), owner="taker")
    await publisher.close()


async def _take(lease: Lease) -> Json:
    return {"by": "taker", "attempt": lease.attempt, "taken_over": lease.taken_over, "step": lease.step}


TAKEN = {"by": "taker", "attempt": 2, "taken_over": True, "step": "about to act"}


async def test_a_paused_holder_is_waited_out_and_its_completion_refused(
    nats_server: NatsServer, provisioned: Connection
) -> None:
    """A taker waits one whole lease, knows the step, and keeps the claim when the holder wakes up."""
    async with _holder(nats_server) as holder, _taker(provisioned) as taker:
        holder.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        async with asyncio.timeout(60):
            result = await taker.once("key", _take)
        waited = time.monotonic() - started
        holder.send_signal(signal.SIGCONT)
        assert holder.stdin is not None
        holder.stdin.write(b"go on\n")

        assert result == TAKEN
        assert waited >= LEASE
        assert await _line(holder) == "left 0.0"
        assert (await _line(holder)).startswith("lost: the claim 'key' is somebody else's by now")
        assert await taker.once("key", _take) == TAKEN


async def test_a_killed_holder_is_waited_out(nats_server: NatsServer, provisioned: Connection) -> None:
    """Kill -9 of the holder forgets nothing: the next one knows that somebody tried, and how far."""
    async with _holder(nats_server) as holder, _taker(provisioned) as taker:
        holder.kill()
        started = time.monotonic()
        async with asyncio.timeout(60):
            assert await taker.once("key", _take) == TAKEN

        assert time.monotonic() - started >= LEASE


async def test_under_a_lease_of_ones_own_a_killed_holder_is_not_waited_for(
    nats_server: NatsServer, provisioned: Connection
) -> None:
    """Whoever held the key without that lease has lost it, so one silence is enough for both."""
    async with _holder(nats_server) as holder, _taker(provisioned, lease=3600) as taker:
        holder.kill()
        async with asyncio.timeout(60), taker.lease("all") as all_of_them:
            assert await taker.once("key", _take, under=all_of_them) == TAKEN


async def test_nothing_is_taken_under_a_lease_that_is_over(nats_server: NatsServer, provisioned: Connection) -> None:
    """Somebody else may be at work under it by now; the holder of the key keeps it."""
    async with _holder(nats_server) as holder, _taker(provisioned) as taker:
        async with taker.lease("all") as all_of_them:
            pass
        with pytest.raises(LeaseLost, match="the lease under which the claim 'key' is asked for"):
            await taker.once("key", _take, under=all_of_them)
        assert holder.stdin is not None
        holder.stdin.write(b"go on\n")
        assert (await _line(holder)).startswith("left ")
        assert await _line(holder) == "result {'by': 'holder'}"


async def test_of_20_takers_one_takes_over(nats_server: NatsServer, provisioned: Connection) -> None:
    """All wait for the same silent holder, one works, and all have its result."""
    async with _holder(nats_server) as holder, _taker(provisioned) as taker:
        holder.send_signal(signal.SIGSTOP)
        worked: list[int] = []

        async def work(lease: Lease) -> Json:
            worked.append(lease.attempt)
            return await _take(lease)

        async with asyncio.timeout(60):
            results = await asyncio.gather(*(taker.once("key", work) for _ in range(20)))

        assert worked == [2]
        assert results == [TAKEN] * 20
