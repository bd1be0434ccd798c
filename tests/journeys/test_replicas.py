"""Replicas of the attestor come and go; `python -m tests.bench.replicas` is the same with 300 images."""

import pytest

from tests.bench.replicas import Plan, run


@pytest.mark.usefixtures("forks")
@pytest.mark.timeout(600)
async def test_killed_and_paused_replicas_attest_each_image_once() -> None:
    """Of two replicas one is killed and one is paused past its lease; every image has exactly one attestation."""
    report = await run(Plan(images=12, replicas=2, every=0.7, pace=0.15, strikes=2))

    assert report.holds, report
    assert (report.killed, report.paused) == (1, 1)
    assert report.attested_events == 36
