"""Which settings count: the environment, and the local world."""

import json
import os
from pathlib import Path

import pytest

from workers.app.environment import load_settings
from workers.failures import Unavailable
from workers.local.folder import WorldFolder
from workers.settings import ignored_variables

RULES = [
    {
        "match": "127.0.0.1:5000/**",
        "attestor": "projects/p/attestors/a",
        "key": "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
    }
]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Begin without settings, in an empty folder."""
    for name in [name for name in os.environ if name.startswith("SEALANE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


async def running(root: Path) -> WorldFolder:
    """Publish the endpoints of a world that this process holds."""
    folder = WorldFolder(root)
    await folder.lock()
    folder.token()
    folder.publish(
        {
            "nats": "nats://127.0.0.1:4999",
            "project": "local",
            "google_grpc": "127.0.0.1:5001",
            "token": str(folder.token_file),
            "registries": [{"host": "127.0.0.1:5000", "insecure": True}],
            "signing_rules": RULES,
            "github_settings": {"api": "http://127.0.0.1:5002"},
        }
    )
    return folder


def test_mistyped_variable_is_named_with_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no setting is ignored, not in silence, and its value stays out; a secret that a setting names is fine."""
    monkeypatch.setenv("SEALANE_REGISTRYS", "hunter2")
    monkeypatch.setenv("SEALANE_WEATHER", "hunter2")
    monkeypatch.setenv("sealane_grace", "3")
    monkeypatch.setenv("SEALANE_MY_SEED", "hunter2")
    monkeypatch.setenv("SEALANE_NATS_SEED", "env://SEALANE_MY_SEED")

    assert ignored_variables() == [
        "SEALANE_REGISTRYS is no setting and is ignored: did you mean SEALANE_REGISTRIES?",
        "SEALANE_WEATHER is no setting and is ignored: `sealane settings` lists them",
    ]


async def test_running_world_is_found_by_itself(tmp_path: Path) -> None:
    """In the folder where a world runs, nothing needs to be said."""
    folder = await running(tmp_path / ".sealane")

    settings = load_settings()

    assert settings.nats == "nats://127.0.0.1:4999"
    assert settings.google_endpoint == "127.0.0.1:5001"
    assert settings.signing_rules.matching("127.0.0.1:5000", "shop")
    assert settings.github.api == "http://127.0.0.1:5002"
    assert settings.nats_seed == f"file://{folder.identities}/{{identity}}.seed"
    folder.unlock()


async def test_a_bus_that_was_named_counts_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SEALANE_NATS set, a local world beside it is not taken for it."""
    folder = await running(tmp_path / ".sealane")
    monkeypatch.setenv("SEALANE_NATS", "nats://bus.example.com:4222")

    settings = load_settings()

    assert settings.nats == "nats://bus.example.com:4222"
    assert settings.google_endpoint is None
    folder.unlock()


async def test_folder_that_was_named_counts_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a folder named, all that says where the world is comes from there: never a mixture of two worlds."""
    folder = await running(tmp_path / "other")
    monkeypatch.setenv("SEALANE_NATS", "nats://bus.example.com:4222")
    monkeypatch.setenv("SEALANE_GOOGLE_ENDPOINT", "cloud.example.com:443")
    monkeypatch.setenv("SEALANE_SIGNING_RULES", "[]")

    settings = load_settings(tmp_path / "other")

    assert settings.nats == "nats://127.0.0.1:4999"
    assert settings.google_endpoint == "127.0.0.1:5001"
    assert settings.signing_rules.rules == ()
    folder.unlock()


async def test_folder_without_a_world_is_said(tmp_path: Path) -> None:
    """A named folder in which no world runs is an error that names the remedy, also with stale endpoints."""
    folder = await running(tmp_path / "stale")
    stale = (folder.root / "endpoints.json").read_text()
    folder.unlock()
    (folder.root / "endpoints.json").write_text(stale)

    with pytest.raises(Unavailable, match="sealane up"):
        load_settings(tmp_path / "stale")


def test_durations_are_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain number is a number of seconds."""
    monkeypatch.setenv("SEALANE_GRACE", "2.5")

    assert load_settings().grace.total_seconds() == 2.5


def test_rules_can_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SEALANE_SIGNING_RULES may name a JSON file."""
    (tmp_path / "rules.json").write_text(json.dumps(RULES))
    monkeypatch.setenv("SEALANE_SIGNING_RULES", str(tmp_path / "rules.json"))

    assert len(load_settings().signing_rules.rules) == 1
