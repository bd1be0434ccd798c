"""What the health page is made of, asked of a real bus under the permissions of the door."""

from pathlib import Path

from tests.bus.lane import secured_lane
from workers.bus.judgement.line import stop_line
from workers.bus.topology.identities import read_seed
from workers.bus.transport.connection import connect
from workers.gateway.health import examine


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
