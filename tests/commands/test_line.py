"""A worker's line is seen, stopped and resumed from the command line."""

from tests.bus.lane import Lane
from tests.commands.command import Sealane
from workers.bus.line import read_line


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


async def test_unknown_worker_is_named(lane: Lane, sealane: Sealane) -> None:
    """A misspelt worker is not stopped in silence."""
    done = await sealane("line", "stop", "eco")

    assert done.code == 2
    assert "there is no worker 'eco': the workers are" in done.err
