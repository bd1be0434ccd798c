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


def test_help_loads_no_client() -> None:
    """Asking for help, or starting a worker, pays neither for clouds nor for tables."""
    heavy = "{'nats', 'google', 'grpc', 'rich', 'starlette', 'faststream', 'cryptography', 'pydantic'}"
    code = f"import sys, workers.__main__; print(sorted({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == "[]"


def test_starting_a_worker_loads_no_cloud() -> None:
    """A worker's start imports its handler and the bus; clients of clouds come with the first message."""
    heavy = "{'google.cloud', 'grpc', 'rich', 'starlette', 'faststream', 'uvicorn'}"
    code = (
        "import sys, workers.__main__, workers.app.running; from workers.bus.rooms import wiring;"
        f"wiring('echo'); print(sorted({heavy} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == "[]"
