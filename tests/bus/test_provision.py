"""The provisioner makes the server match, and never loses anything doing it."""

from collections.abc import Mapping

from workers.bus.connection import Connection
from workers.bus.provision import apply, find_drift
from workers.bus.streams import topology
from workers.bus.wiring import Wiring
from workers.retention import Retention


async def test_an_empty_server_lacks_everything_and_gets_it(
    connection: Connection, wirings: Mapping[str, Wiring], retention: Retention
) -> None:
    """On a new server all is missing; one apply later nothing is."""
    wanted = topology(wirings.values(), retention)

    before = await find_drift(connection, wanted)
    outcomes = await apply(connection, wanted)

    assert {drift.kind for drift in before} == {"missing"}
    assert all(outcome.applied for outcome in outcomes)
    assert await find_drift(connection, wanted) == []


async def test_a_second_apply_changes_nothing(
    connection: Connection, wirings: Mapping[str, Wiring], retention: Retention
) -> None:
    """Applying is idempotent: the second time there is nothing to say."""
    wanted = topology(wirings.values(), retention)
    await apply(connection, wanted)

    assert await apply(connection, wanted) == []
