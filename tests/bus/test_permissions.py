"""An identity may do what its signature says, and nothing else."""

from collections.abc import Awaitable, Callable, Mapping

from workers.bus.check import check
from workers.bus.connection import Connection
from workers.bus.wiring import Wiring

ConnectAs = Callable[[str], Awaitable[Connection]]


async def test_a_worker_may_do_what_it_needs_at_its_start(connect_as: ConnectAs, wirings: Mapping[str, Wiring]) -> None:
    """Every worker can compare what it needs, and finds it."""
    for name, wiring in wirings.items():
        connection = await connect_as(f"worker-{name}")

        assert await connection.alive(10) is not None
        assert await check(connection, wiring) == []
