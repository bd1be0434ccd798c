"""The lane under kill -9, small enough for every run of the tests; `make chaos` is the large one."""

from pathlib import Path

import pytest

from tests.bench.chaos import Plan, Run


@pytest.mark.usefixtures("forks")
@pytest.mark.timeout(600)
async def test_kills_of_worker_and_server_lose_and_double_nothing(tmp_path: Path) -> None:
    """A worker and the server are killed while events run, and every promise holds."""
    report = await Run(Plan(events=800, kills=1, seed=7), tmp_path).run()

    assert report.holds, report
    assert report.dead == 4
    assert report.calls >= 808
