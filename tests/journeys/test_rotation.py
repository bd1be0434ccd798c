"""A signing key is rotated while its workers die; `python -m tests.bench.rotation` is the same with 200 images."""

import pytest

from tests.bench.rotation import Plan, run


@pytest.mark.usefixtures("forks")
@pytest.mark.timeout(600)
async def test_a_rotation_survives_its_workers_and_signs_nothing_twice() -> None:
    """Both workers are killed: all verify with the new key, once each, and the old one is gone."""
    report = await run(Plan(images=20, kills=1))

    assert report.holds, report
    assert report.killed == 2
