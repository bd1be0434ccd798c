"""The command line: found, explained, quick."""

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

import workers.commands
from workers.__main__ import _GROUPS, app


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with its path."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = list(commands(typer.main.get_command(app)))


def test_every_module_with_commands_is_registered() -> None:
    """A module that can register commands is in the list; its neighbours only help."""
    found = {
        module.name
        for module in pkgutil.iter_modules(workers.commands.__path__)
        if hasattr(importlib.import_module(f"workers.commands.{module.name}"), "register")
    }

    assert set(_GROUPS) == found


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_help_shows_what_it_does_and_an_example(path: tuple[str, ...], command: Any) -> None:
    """Every command says in a sentence what it does, and ends with a call to copy."""
    assert command.help
    assert command.help.split("\n")[0].rstrip().endswith((".", ";", ","))
    assert "Examples:" in (command.epilog or "")
    assert f"sealane {' '.join(path)}" in command.epilog


_CLOUDS = {"google.api_core", "google.cloud", "grafeas", "requests"}
_PAGES = {"jinja2", "authlib", "rich", "faststream"}
_SERVERS = {"starlette", "uvicorn", "grpc"}
_CRYPTOGRAPHY = {"cryptography.x509", "jwt", "pysequoia"}


@pytest.mark.parametrize(
    ("start", "heavy"),
    [
        pytest.param(
            "",
            _CLOUDS | _PAGES | _SERVERS | {"nats", "aiohttp", "cryptography", "pydantic", "google"},
            id="help",
        ),
        pytest.param(
            "import workers.app.shell",
            _CLOUDS | _PAGES | _SERVERS | {"nats", "aiohttp", "cryptography", "google"},
            id="local env",
        ),
        pytest.param(
            "import workers.app.console_link",
            _CLOUDS | _PAGES | _SERVERS | {"nats", "aiohttp", "cryptography", "google"},
            id="console",
        ),
        pytest.param(
            "import workers.app.connecting",
            _CLOUDS | _PAGES | _SERVERS | {"aiohttp", "cryptography", "google"},
            id="whatever asks the bus",
        ),
        pytest.param(
            "import workers.app.running; from workers.bus.rooms import all_wirings; all_wirings()",
            _CLOUDS | _PAGES | _SERVERS | _CRYPTOGRAPHY | {"aiohttp", "dulwich"},
            id="worker",
        ),
        pytest.param(
            "import workers.app.door",
            _CLOUDS | _PAGES | _CRYPTOGRAPHY | {"aiohttp", "cryptography", "dulwich"},
            id="gateway",
        ),
        pytest.param("import workers.app.world", _CLOUDS | _PAGES | _CRYPTOGRAPHY, id="up"),
    ],
)
def test_start_loads_nothing_that_only_some_need(start: str, heavy: set[str]) -> None:
    """What only a request, a message or another command needs is imported when it comes."""
    code = f"import sys, workers.__main__; {start or 'pass'}; print(sorted({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == "[]"
