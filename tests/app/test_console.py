"""The console as a process opens it: only where people can reach it, and with an identity of its own."""

from pathlib import Path

import pytest

from workers.app.console import console_at_home, open_console
from workers.console_settings import ConsoleSettings
from workers.failures import Invalid
from workers.local.folder import WorldFolder
from workers.settings import Settings


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """Give a reference to a secret."""
    file = tmp_path / "secret"
    file.touch(0o600)
    file.write_text("canary-canary-canary-canary-canary-canary")
    return f"file://{file}"


async def test_nobody_gets_a_console_who_did_not_ask_for_it() -> None:
    """An empty variable is none as well."""
    for settings in (Settings(), Settings.model_validate({"console": ""})):
        async with open_console(settings) as kit:
            assert kit is None


async def test_a_console_that_nobody_could_reach_is_refused(secret: str) -> None:
    """On an address for others it must know its own name, or it could not tell where a form comes from."""
    settings = Settings.model_validate({"console": {"secret": secret}, "http_host": "0.0.0.0"})  # noqa: S104 - refused
    with pytest.raises(Invalid, match="the console has no address"):
        async with open_console(settings):
            pass


async def test_the_doors_own_identity_does_not_act(secret: str) -> None:
    """Its permissions are narrow: the console needs the seed of the operator."""
    settings = Settings.model_validate({"console": {"secret": secret}, "nats_seed": "file:///run/sealane/seed"})
    with pytest.raises(Invalid, match="operator_seed"):
        async with open_console(settings):
            pass


@pytest.mark.parametrize(
    "wrong",
    ["{", "/nowhere.json", {}, {"secret": "plain"}, {"secret": "env://S", "url": "http://sealane.example.com"}],
    ids=str,
)
def test_settings_that_are_wrong_are_refused(wrong: object) -> None:
    """No JSON, no file, no secret, a secret by value, and cookies in plain text over a network."""
    with pytest.raises(ValueError, match="console"):
        Settings.model_validate({"console": wrong})


def test_the_local_world_has_a_console_unless_one_is_set(tmp_path: Path, secret: str) -> None:
    """Its secret is made once, for its owner alone."""
    world = WorldFolder(tmp_path)
    own = console_at_home(Settings(), world).console
    assert own is not None
    assert own.secret == f"file://{world.console_file}"
    assert world.console_file.stat().st_mode & 0o077 == 0
    assert world.console_secret() == world.console_secret()

    other = Settings.model_validate({"console": {"secret": secret}})
    assert console_at_home(other, world).console == ConsoleSettings(secret=secret)
