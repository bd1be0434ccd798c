"""Every command does its work under the operator's derived permissions, the worker under its own."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bus.lane import Lane, secured_lane
from tests.commands.command import PATIENCE, Sealane
from tests.commands.test_dead import kill


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Lane]:
    """Run a server with derived permissions; only the test itself may do everything."""
    async with secured_lane(tmp_path) as lane:
        yield lane


@pytest.fixture
def sealane(secured: Lane, tmp_path: Path) -> Sealane:
    """Run commands with the seeds of the secured server."""
    seeds = f"file://{tmp_path}/identities/{{identity}}.seed"
    return Sealane(secured.url, tmp_path / "nowhere", nats_seed=seeds, metrics_port="-1")


async def test_operator_publishes_follows_and_replays(secured: Lane, sealane: Sealane) -> None:
    """Publish and wait, the same identity twice, runs, dead letters: nothing is refused by the server."""
    await kill(secured, "dead")
    worker = await sealane.start("worker", "echo")
    try:
        done = await sealane("publish", "echo.requested", "--set", "message=hello", "--id", "e1", "--wait")
        clash = await sealane("publish", "echo.requested", "--set", "message=other", "--id", "e1")
        replayed = await sealane("dead", "replay", "1", "--json")
        followed = await sealane("tail", replayed.lines[0]["run"], "--json")
    finally:
        worker.send_signal(signal.SIGTERM)
        await asyncio.wait_for(worker.communicate(), PATIENCE)
    runs = await sealane("runs", "--json")
    letters = await sealane("dead", "list", "--json")
    dropped = await sealane("dead", "drop", "1", "--yes")

    assert (done.code, done.err) == (0, "")
    assert (clash.code, "another echo.requested with id 'e1'" in clash.err) == (1, True)
    assert (followed.code, followed.err) == (0, "")
    assert sorted(line["state"] for line in runs.lines) == ["done", "done"]
    assert [len(line["replays"]) for line in letters.lines] == [1]
    assert (dropped.code, dropped.err) == (0, "")
    assert [result.err for result in (runs, letters, replayed)] == ["", "", ""]


async def test_operator_tails_and_holds_the_line(secured: Lane, sealane: Sealane) -> None:
    """Wildcards over events are listened on type by type, since that is what the operator may."""
    tail = await sealane.start("tail", "echo.*", "--from-start", "--json")
    assert tail.stdout
    await secured.ask("one")
    line = json.loads(await asyncio.wait_for(tail.stdout.readline(), PATIENCE))
    tail.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(tail.communicate(), PATIENCE)
    stopped = await sealane("line", "stop", "echo")
    shown = await sealane("line", "show", "echo", "--json")

    assert line["data"] == {"message": "one"}
    assert b"ermission" not in err
    assert stopped.code == 0, stopped.err
    assert shown.lines[0]["state"] == "stopped"
