"""Messages of Google's Pub/Sub emulator cross to the bus under kill -9; `make bridge` is the large one."""

from pathlib import Path

import pytest

from tests.bench.bridge import Crossing, Plan


@pytest.mark.gcloud
@pytest.mark.usefixtures("forks")
@pytest.mark.timeout(600)
async def test_kills_of_bridge_and_bus_lose_and_double_no_message(tmp_path: Path) -> None:
    """The bridge and the bus are killed while messages cross: each becomes one event, and none is left."""
    report = await Crossing(Plan(messages=2_000, kills=1, away=5.0, seed=7), tmp_path).run()

    assert report.holds, report
    assert (report.events, report.distinct) == (2_000, 2_000)
