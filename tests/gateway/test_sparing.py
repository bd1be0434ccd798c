"""Lines that anybody may cause do not fill the log, and none of them is lost without a count."""

import logging

import pytest

from tests.bus.lane import Lane
from tests.gateway.conftest import Caller
from workers.gateway import events
from workers.gateway.sparing import Sparing

log = logging.getLogger(__name__)


def test_so_many_lines_a_minute_and_then_how_many_were_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """The first of each minute are written as they are; the next that is written says how many were not."""
    times = (0.0, 1.0, 2.0, 59.0, 60.0, 61.0, 62.0, 200.0)
    sparing = Sparing(log, 2, clock=iter(times).__next__)
    for time in times:
        sparing.warn("at %d", time)

    more = "(and {} more since the line before it)".format
    lines = ["at 0", "at 1", f"at 60 {more(2)}", "at 61", f"at 200 {more(1)}"]
    assert [record.getMessage() for record in caplog.records] == lines


async def test_strangers_do_not_fill_the_log_of_denials(
    lane: Lane, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    """However many come, so many lines are written of them; whom we know is always told of, and all are answered."""
    for number in range(events.MOST_LINES + 20):
        assert (await caller.echo("s", token=f"slk_{number:040}")).status == 401
    assert (await caller.ask("GET", "/runs")).status == 401
    assert caplog.text.count("denied (401) to nobody we know") == events.MOST_LINES
    for _ in range(3):
        denied = await caller.echo("s", ce_type="image.attested")
        assert denied.status == 403
    assert caplog.text.count("denied (403) to ci") == 3
