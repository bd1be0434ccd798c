"""What the door counts: by route, status, principal, claim and type, and by nothing that a client chooses."""

from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.bus.lane import Lane
from tests.gateway.conftest import KEY, Caller, attributes
from tests.gateway.issuer import LocalIssuer
from workers.adapters.key_sets import fetch_key_set
from workers.bus.topology.identities import read_seed
from workers.bus.transport.connection import connect
from workers.gateway.metrics import DoorMetrics
from workers.gateway.principals import Policy
from workers.gateway.server import Door


def scraped(metrics: DoorMetrics) -> str:
    """Return what is served of them."""
    registry = CollectorRegistry()
    registry.register(metrics)
    return generate_latest(registry).decode()


async def test_door_counts_what_it_answers(lane: Lane, tmp_path: Path, policy: Policy, issuer: LocalIssuer) -> None:
    """Requests, denials with the claim that failed, events with their type, and the time that answers take."""
    connection = await connect(lane.url, identity="gateway", seed=read_seed(tmp_path, "gateway"), first_wait=30)
    door = Door(connection, policy, fetch_key_set)
    async with aiohttp.ClientSession() as session:
        caller = Caller(f"http://127.0.0.1:{await door.start(0)}", session)
        await caller.echo("m-1")
        await caller.echo("m-1")
        await caller.send("{}", **attributes("m-2"))
        await caller.echo("m-3", token=issuer.token(repository_id="9"))
        await caller.echo("m-4", token=issuer.token())
        await caller.send("{}", **attributes("m-5", "image.attested"))
        bearing = {"authorization": f"Bearer {KEY}"}
        assert (await caller.ask("GET", "/progress/x?after=x", headers=bearing)).status == 400
        await caller.ask("GET", "/livez", headers={"host": "two words"})
        for path in ("/livez", "/nowhere/at/all?x=1", "/runs/abc"):
            await caller.ask("GET", path)
    await door.stop()
    await connection.close()
    found = scraped(door.metrics)

    for line in (
        'sealane_door_requests_total{principal="ci",route="/events",status="202"} 2.0',
        'sealane_door_requests_total{principal="ci",route="/events",status="400"} 1.0',
        'sealane_door_requests_total{principal="ci",route="/events",status="403"} 1.0',
        'sealane_door_requests_total{principal="",route="/events",status="403"} 1.0',
        'sealane_door_requests_total{principal="",route="/livez",status="200"} 1.0',
        'sealane_door_requests_total{principal="",route="other",status="404"} 1.0',
        'sealane_door_requests_total{principal="",route="/runs/{run}",status="401"} 1.0',
        'sealane_door_denials_total{claim="repository_id"} 1.0',
        'sealane_door_denials_total{claim="type"} 1.0',
        'sealane_door_events_total{principal="ci",type="echo.requested"} 2.0',
        'sealane_door_events_total{principal="github/acme/shop",type="echo.requested"} 1.0',
        'sealane_door_seconds_count{route="/events"} 6.0',
        'sealane_door_streams{principal="ci"} 0.0',
        'sealane_door_unread_total{status="400"} 1.0',
        "sealane_door_cut_total 0.0",
    ):
        assert line in found
    assert "nowhere" not in found


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0005, "0.001"), (0.2, "0.25"), (99.0, "+Inf")])
def test_time_is_counted_in_buckets(seconds: float, bucket: str) -> None:
    """An answer is in the first bucket that holds it, and in all larger ones."""
    metrics = DoorMetrics()
    metrics.answered("/events", 202, "ci", seconds)

    found = scraped(metrics)
    assert f'sealane_door_seconds_bucket{{le="{bucket}",route="/events"}} 1.0' in found
    assert 'sealane_door_seconds_bucket{le="+Inf",route="/events"} 1.0' in found
    assert f'sealane_door_seconds_sum{{route="/events"}} {seconds}' in found
