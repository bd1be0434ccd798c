"""The story of admission can fail: it believes what Cloud Run stores, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from workers.app import admission_story
from workers.app.stage import Stage
from workers.failures import Unavailable
from workers.local.folder import WorldFolder
from workers.local.google import GoogleServices

DIGEST = "sha256:" + "0" * 64


def stage_at(rest_port: int, folder: Path) -> Stage:
    """Return a stage without a bus, on Google services that run."""
    location = "projects/demo/locations/europe-west1"
    endpoints = {"google_rest": f"http://127.0.0.1:{rest_port}", "location": location, "registry": "eu.example"}
    nothing: Any = None
    return Stage(nothing, nothing, nothing, WorldFolder(folder), endpoints, say=nothing)


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the image be pushed already."""

    async def push(*_: object) -> str:
        return DIGEST

    monkeypatch.setattr(admission_story, "push_image", push)


@pytest.mark.usefixtures("pushed")
async def test_an_unsigned_image_that_is_admitted_fails_the_story(tmp_path: Path) -> None:
    """A project without a policy of its own admits everything."""
    async with GoogleServices(tmp_path / "google") as google:
        good, said, _ = await admission_story.admitted(stage_at(google.rest_port, tmp_path))

    assert not good
    assert f"did not refuse eu.example/apps/admitted@{DIGEST}, which nobody signed" in said


@pytest.mark.usefixtures("pushed")
async def test_a_cloud_run_that_is_not_there_fails_the_story(tmp_path: Path) -> None:
    """The sentence says which service is missing."""
    async with GoogleServices(tmp_path / "google") as google:
        port = google.rest_port
    with pytest.raises(Unavailable, match="the local Cloud Run did not answer"):
        await admission_story.admitted(stage_at(port, tmp_path))
