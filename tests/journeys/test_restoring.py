"""The folder of a world outlives its machine, its mistakes and its release."""

import json
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.journeys.conftest import Up, sealane
from tests.journeys.test_up import get
from workers.local.registry import build_image, push, write_layout
from workers.local.version import VERSION, version_of

Start = Callable[..., Up]
OLDEST = Path(__file__).parent / "folders" / "version-0.tar.gz"
"""A folder as the first release left it after `sealane demo`, without its ports, which others may hold by now."""


def local(command: str, data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `sealane local …` on a folder; it must end well."""
    done = sealane("local", command, *arguments, "--data", str(data))
    assert done.returncode == 0, done.stderr
    return done


def attested(up: Up, tmp_path: Path) -> str:
    """Push an image, have it attested, and return its reference."""
    layout = write_layout(tmp_path / "image", build_image([{"etc/motd": b"kept"}]), tag="one")
    reference = f"{up.endpoints['registry']}/team/shop:one"
    user, token = up.endpoints["registry_user"], Path(up.endpoints["token"]).read_text()
    push(layout, reference, username=user, password=token)
    done = sealane("publish", "image.pushed", "--set", f"image={reference}", "--wait", "--data", str(up.data))
    assert done.returncode == 0, done.stderr
    return reference


def test_world_comes_back_from_its_archive(start: Start, tmp_path: Path) -> None:
    """Attested, stopped, backed up, reset, restored, started: image, attestation, events and ports are there."""
    archive = tmp_path / "world.tar.gz"
    up = start("up").ready()
    reference, before = attested(up, tmp_path), up.endpoints
    running = sealane("local", "backup", str(archive), "--data", str(up.data))
    up.stop()
    made = local("backup", up.data, str(archive))
    unasked = sealane("local", "reset", "--data", str(up.data))
    local("reset", up.data, "--yes")
    left = [path.name for path in up.data.iterdir()]
    local("restore", up.data, str(archive))
    again = start("up").ready()
    verified = sealane("verify", reference, "--data", str(up.data))
    events = sealane("runs", "--json", "--data", str(up.data))

    assert (running.returncode, f"is running (process {before['pid']}): stop it first" in running.stderr) == (1, True)
    assert "the secrets of that world are in it" in made.stdout
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert (unasked.returncode, "say --yes" in unasked.stderr) == (2, True)
    assert sorted(left) == ["lock", "version"]
    assert again.endpoints | {"pid": 0} == before | {"pid": 0}
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert [json.loads(line)["state"] for line in events.stdout.splitlines()] == ["done"]


def test_archive_goes_through_a_pipe_and_is_checked(tmp_path: Path) -> None:
    """An archive is written to stdout and read from stdin; --check changes nothing, a damaged one is bad input."""
    data = tmp_path / "world"
    with tarfile.open(OLDEST) as oldest:
        oldest.extractall(data, filter="data")
    archive = tmp_path / "world.tar.gz"
    local("backup", data, str(archive))
    checked = local("restore", tmp_path / "none", str(archive), "--check")
    archive.write_bytes(archive.read_bytes()[:-9])
    damaged = sealane("local", "restore", str(archive), "--data", str(tmp_path / "none"))

    assert "is whole: " in checked.stdout
    assert (damaged.returncode, damaged.stderr.startswith(f"sealane: {archive}: it is damaged")) == (2, True)
    assert not (tmp_path / "none").exists()


def test_folder_of_the_first_release_is_upgraded_in_place(start: Start, tmp_path: Path) -> None:
    """Its images, attestations, events and identities are there after `sealane up`, and it has a version now."""
    data = tmp_path / "world"
    with tarfile.open(OLDEST) as oldest:
        oldest.extractall(data, filter="data")
    seeds = {file.name: file.read_text() for file in (data / "identities").iterdir()}
    before = json.loads(local("info", data, "--json").stdout)
    up = start("up", data=data).ready()
    token = {"Authorization": f"Bearer {(data / 'token').read_text()}", "Host": "containeranalysis.googleapis.com"}
    stored = get(f"{up.endpoints['google_rest']}/v1/projects/sealane-local/occurrences", **token)[1]
    listed = sealane("runs", "--json", "--data", str(data)).stdout.splitlines()
    asked = sealane("publish", "echo.requested", "--set", "message=still there?", "--wait", "--data", str(data))

    assert (before["version"], before["holder"]) == (0, None)
    assert f"upgraded {data} from version 0 to {VERSION}" in up.said
    assert version_of(data) == VERSION
    assert len(json.loads(stored)["occurrences"]) == 3
    assert len(listed) >= 5
    assert (data / "registry/repositories/apps/shop/_tags").is_dir()
    assert {name: (data / "identities" / name).read_text() for name in seeds} == seeds
    assert asked.returncode == 0, asked.stderr


def test_folder_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    """What this release does not understand, it leaves alone."""
    data = tmp_path / "world"
    data.mkdir()
    (data / "version").write_text(f"{VERSION + 1}\n")
    refused = sealane("up", "--data", str(data))

    assert refused.returncode == 1
    assert "was made by a newer release" in refused.stderr
    assert sorted(path.name for path in data.iterdir()) == ["lock", "version"]
