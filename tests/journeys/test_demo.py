"""`sealane demo`: stories with real input, verified at their source."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.journeys.conftest import Up, sealane

Start = Callable[..., Up]


def test_demo_starts_the_world_plays_and_leaves_nothing(tmp_path: Path) -> None:
    """On an empty folder it starts the world, verifies every outcome, writes them down, and exits 0."""
    record = tmp_path / "outcomes.json"
    played = sealane("demo", "--once", "--json", str(record), "--data", str(tmp_path / "world"), timeout=250)

    assert played.returncode == 0, played.stdout + played.stderr
    outcomes = json.loads(record.read_text())["outcomes"]
    assert len(outcomes) >= 4
    assert all(outcome["good"] for outcome in outcomes)
    assert played.stdout.count("verified") >= len(outcomes)
    assert not (tmp_path / "world" / "endpoints.json").exists()


def test_demo_uses_the_world_that_runs_and_can_be_repeated(world: Up, tmp_path: Path) -> None:
    """In a running world it plays as often as one likes, and the world stays."""
    for _ in range(2):
        played = sealane("demo", "--data", str(world.data), timeout=250)
        assert played.returncode == 0, played.stdout + played.stderr

    assert world.process.poll() is None


def test_demo_fails_when_a_worker_is_missing(start: Start, tmp_path: Path) -> None:
    """An outcome that cannot be verified makes the exit code 1, and its line says what is missing."""
    up = start("up", "--no-workers").ready()
    record = tmp_path / "outcomes.json"
    played = sealane("demo", "--once", "--patience", "2", "--json", str(record), "--data", str(up.data), timeout=250)

    assert played.returncode == 1
    outcomes = json.loads(record.read_text())["outcomes"]
    assert [outcome["good"] for outcome in outcomes] == [False] * len(outcomes)
    assert "sealane doctor" in played.stdout
