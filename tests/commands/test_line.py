"""A worker's line is seen, stopped and resumed from the command line."""

import asyncio
from pathlib import Path

from tests.bus.lane import Lane
from tests.commands.command import PATIENCE, Sealane
from workers.bus.judgement.line import read_line
from workers.bus.rooms import wiring


async def test_line_is_stopped_and_resumed(lane: Lane, sealane: Sealane) -> None:
    """The state says who did it and why, and holds until somebody resumes it."""
    before = await sealane("line", "show", "echo", "--json")
    stopped = await sealane("line", "stop", "echo", "--reason", "moving the registry")
    shown = await sealane("line", "show", "--json")
    table = await sealane("line", "show")
    state, _ = await read_line(lane.connection, "echo")
    resumed = await sealane("line", "resume", "echo")
    again = await sealane("line", "resume", "echo")

    assert [record["state"] for record in before.lines] == ["running"]
    assert (stopped.code, stopped.out) == (0, "the line of echo is stopped for all replicas\n")
    [record] = [record for record in shown.lines if record["worker"] == "echo"]
    assert (record["state"], record["reason"], record["automatic"]) == ("stopped", "moving the registry", False)
    assert record["by"].startswith("operator/")
    assert "with `sealane line resume echo`" in table.out
    assert not state.automatic
    assert (resumed.out, again.out) == ("the line of echo runs again\n", "the line of echo was running\n")


async def test_waiting_for_a_stopped_line_is_not_silent(lane: Lane, sealane: Sealane) -> None:
    """Whoever waits for a run reads why nothing happens, and what would help."""
    await sealane("line", "stop", "echo", "--reason", "moving the registry")
    waiting = await sealane.start("publish", "echo.requested", "--set", "message=hello", "--wait")
    assert waiting.stderr
    said = (await asyncio.wait_for(waiting.stderr.readline(), PATIENCE)).decode()
    async with lane.running(wiring("echo")):
        await sealane("line", "resume", "echo")
        _, rest = await asyncio.wait_for(waiting.communicate(), PATIENCE)

    assert said.startswith("sealane: the line of echo is stopped since ")
    assert said.endswith(": moving the registry; with `sealane line resume echo`\n")
    assert (waiting.returncode, rest) == (0, b"")


async def test_mistyped_setting_is_said_once_without_its_value(lane: Lane, tmp_path: Path) -> None:
    """The command does its work, and says which variable it did not understand."""
    mistyped = Sealane(lane.url, tmp_path / "nowhere", log_levle="hunter2")
    done = await mistyped("line", "show", "echo", "--json")

    assert [record["state"] for record in done.lines] == ["running"]
    assert done.err == "SEALANE_LOG_LEVLE is no setting and is ignored: did you mean SEALANE_LOG_LEVEL?\n"


async def test_unknown_worker_is_named(lane: Lane, sealane: Sealane) -> None:
    """A misspelt worker is not stopped in silence."""
    done = await sealane("line", "stop", "eco")

    assert done.code == 2
    assert "there is no worker 'eco': the workers are" in done.err
