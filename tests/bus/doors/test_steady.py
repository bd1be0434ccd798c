"""Work in the background that breaks is not the end of it."""

import logging

import pytest

from workers.bus.doors.steady import steadily


async def test_work_that_breaks_begins_again_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """Each break is logged with its traceback; what ends by itself is over."""
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise KeyError("a fault nobody thought of")

    with caplog.at_level(logging.ERROR):
        await steadily(work, "the work", again=0.01)

    assert tries == 3
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
    assert all("the work broke" in record.getMessage() for record in caplog.records)
