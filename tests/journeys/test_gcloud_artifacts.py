"""The real gcloud lists what was pushed to the local registry, through the local Artifact Registry."""

import json
from pathlib import Path

import pytest

from tests.journeys.conftest import Up
from tests.journeys.test_gcloud import pushed
from tests.journeys.test_shell import in_shell

pytestmark = [pytest.mark.gcloud, pytest.mark.timeout(600)]


def test_gcloud_lists_what_was_pushed(idle_world: Up, tmp_path: Path) -> None:
    """The repository, the image by its digest and its tag."""
    world = idle_world
    repository, digest = pushed(world, tmp_path, "listed")
    project, location = world.endpoints["location"].split("/")[1::2]
    path = f"{location}-docker.pkg.dev/{project}/team"
    script = " && echo , && ".join(
        f"gcloud artifacts {command} --format=json"
        for command in (
            f"repositories list --location={location}",
            f"docker images list {path} --include-tags",
            f"docker tags list {path}/listed",
        )
    )
    shown = in_shell(world.data, f"echo [ && {script} && echo ]")
    assert shown.returncode == 0, shown.stderr
    repositories, images, tags = json.loads(shown.stdout)

    assert f"{world.endpoints['location']}/repositories/team" in [found["name"] for found in repositories]
    assert [(image["package"], image["version"], image["tags"]) for image in images] == [(repository, digest, ["1"])]
    assert [tag["tag"].rsplit("/", 1)[-1] for tag in tags] == ["1"]
