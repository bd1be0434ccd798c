"""What the health page is made of, asked of a real bus under the permissions of the door."""

from pathlib import Path

from tests.bus.lane import secured_lane
from workers.bus.judgement.line import stop_line
from workers.bus.rooms import all_wirings
from workers.bus.topology.identities import read_seed
from workers.bus.transport.connection import connect
from workers.gateway.health import Readiness, examine


async def test_door_without_its_ledger_is_not_ready(tmp_path: Path) -> None:
    """What it cannot remember it must not let in: it says so, and is ready again once the stream is there."""
    async with secured_lane(tmp_path) as lane:
        seed = read_seed(tmp_path, "gateway")
        door = await connect(lane.url, identity="gateway", seed=seed, first_wait=30)
        now = 0.0
        readiness = Readiness(door, clock=lambda: now)
        assert await readiness.ready()
        await lane.connection.client.jetstream().delete_stream("KV_ledger")
        assert await readiness.ready()
        now = 2.0
        assert not await readiness.ready()
        assert not (await examine(door)).ready
        await lane.provision(*all_wirings().values())
        now = 4.0
        assert await readiness.ready()
        await door.close()


async def test_door_sees_which_line_is_stopped_and_why(tmp_path: Path) -> None:
    """The door may read the lines; a worker whose line is stopped says so, the others are just absent."""
    async with secured_lane(tmp_path) as lane:
        seed = read_seed(tmp_path, "gateway")
        door = await connect(lane.url, identity="gateway", seed=seed, first_wait=30)
        await stop_line(lane.connection, lane.publisher, "echo", by="operator/me", reason="moving")
        health = await examine(door)
        await door.close()

    workers = {worker.name: worker for worker in health.workers}
    assert {worker.problem for worker in health.workers} == {None}
    assert "by operator/me: moving; it goes on: with `sealane line resume echo`" in (workers["echo"].stopped or "")
    assert (workers["attest"].stopped, workers["attest"].present) == (None, False)
