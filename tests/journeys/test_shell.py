"""`sealane local env`: the user's own tools on the local world."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.command import SEALANE
from tests.journeys.conftest import Up, clean_environment, sealane
from workers.local.registry import build_image, write_layout

Start = Callable[..., Up]


LOCAL_ENV = f'eval "$({" ".join(SEALANE)} local env --data "$DATA")"'
"""What people type first."""


def in_shell(data: Path, command: str, timeout: float = 280) -> subprocess.CompletedProcess[str]:
    """Run a command in a shell that evaluated what `sealane local env` says."""
    said = sealane("local", "env", "--data", str(data))
    assert said.returncode == 0, said.stderr
    return shell(f'eval "$SAID" && {command}', timeout, SAID=said.stdout)


def shell(script: str, timeout: float = 200, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script."""
    return subprocess.run(
        ["sh", "-c", script],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_quoting_is_safe_for_any_folder(start: Start, tmp_path: Path) -> None:
    """A folder with spaces, quotes and a dollar arrives in the shell as it is."""
    data = tmp_path / 'it\'s a $(touch pwned) "folder"'
    start("up", "--no-workers", data=data).ready()

    look = 'printf %s "$SEALANE_DATA" && test -r "$CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"'
    shown = shell(f"{LOCAL_ENV} && {look}", DATA=str(data))

    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == str(data)
    assert not Path("pwned").exists()


def test_no_secret_is_printed(world: Up) -> None:
    """The lines name files that hold secrets, never the secrets."""
    lines = sealane("local", "env", "--data", str(world.data)).stdout

    assert Path(world.endpoints["token"]).read_text() not in lines
    assert "SU" not in {value[:2] for value in lines.replace("=", "\n").splitlines() if len(value) == 58}


def test_without_a_world_it_says_so(tmp_path: Path) -> None:
    """Where no world runs, the shell gets nothing to evaluate and a sentence on stderr."""
    refused = sealane("local", "env", "--data", str(tmp_path))

    assert refused.returncode == 1
    assert refused.stdout == ""
    assert "sealane up" in refused.stderr


def test_commands_find_the_world_through_the_environment(world: Up) -> None:
    """In such a shell, our own commands need no --data."""
    shown = in_shell(world.data, " ".join([*SEALANE, "doctor"]))

    assert shown.returncode == 0, shown.stdout + shown.stderr


def test_skopeo_logs_in_and_the_image_is_attested(world: Up, tmp_path: Path) -> None:
    """An image pushed by skopeo with the shell's own login is resolved, signed and attested."""
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    layout = write_layout(tmp_path / "image", build_image([{"etc/motd": b"by skopeo"}]), tag="one")
    reference = f"{world.endpoints['registry']}/team/shop:one"

    copied = in_shell(world.data, f"skopeo copy --dest-tls-verify=false oci:{layout}:one docker://{reference}")
    assert copied.returncode == 0, copied.stderr
    published = sealane("publish", "image.pushed", "--set", f"image={reference}", "--wait", "--data", str(world.data))
    assert published.returncode == 0, published.stderr
    assert "image.attested" in published.stdout


@pytest.mark.gcloud
def test_gcloud_sees_the_attestor(world: Up) -> None:
    """The real gcloud, pointed at the world by the environment alone, lists the seeded attestor and its key."""
    shown = in_shell(world.data, "gcloud container binauthz attestors list --format=json")

    assert shown.returncode == 0, shown.stderr
    (attestor,) = json.loads(shown.stdout)
    assert attestor["name"] == world.endpoints["attestor"]
    (key,) = attestor["userOwnedGrafeasNote"]["publicKeys"]
    assert key["id"] == f"//cloudkms.googleapis.com/v1/{world.endpoints['key']}"
