"""The `sealane` command as a process, against one server."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tests.commands.forking import Forked, forking

PATIENCE = 120.0
SEALANE = (sys.executable, "-m", "workers")


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines that it wrote."""
        return [json.loads(line) for line in self.out.splitlines()]


class Sealane:
    """The `sealane` command against one server."""

    def __init__(self, url: str, folder: Path, **settings: str) -> None:
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("SEALANE_", "NO_COLOR"))
        }
        self._environment |= {"SEALANE_NATS": url, "SEALANE_DATA": str(folder), "PYTHONUNBUFFERED": "1"}
        self._environment |= {f"SEALANE_{name.upper()}": value for name, value in settings.items()}

    async def start(self, *arguments: str, really: bool = False) -> asyncio.subprocess.Process:
        """Start the command and leave it running; `really`: as for people, see `tests.commands.forking`."""
        pipe = asyncio.subprocess.PIPE
        with nullcontext() if really else forking():
            return await asyncio.create_subprocess_exec(
                *(*SEALANE, *arguments), env=self._environment, stdin=pipe, stdout=pipe, stderr=pipe
            )

    async def start_on(self, terminal: int, *arguments: str) -> asyncio.subprocess.Process:
        """Start the command on a terminal, given by its file descriptor."""
        with forking():
            return await asyncio.create_subprocess_exec(
                *(*SEALANE, *arguments),
                env=self._environment | {"TERM": "xterm-256color"},
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
            )

    async def __call__(self, *arguments: str, stdin: str = "") -> Finished:
        """Run the command to its end; forked from one that has imported it, which saves a second each time."""
        return await asyncio.to_thread(forked, arguments, self._environment, stdin)


def forked(
    arguments: Sequence[str], environment: Mapping[str, str], stdin: str = "", *, patience: float = PATIENCE
) -> Finished:
    """Run a command to its end in a process of its own. Raises TimeoutError after so many seconds."""
    with TemporaryFile() as typed, TemporaryFile() as out, TemporaryFile() as err:
        typed.write(stdin.encode())
        typed.seek(0)
        process = Forked([*SEALANE, *arguments], env=dict(environment), stdin=typed, stdout=out, stderr=err)
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise TimeoutError(f"`sealane {' '.join(arguments)}` took longer than {patience:g} s") from None
        for file in (out, err):
            file.seek(0)
        return Finished(code, out.read().decode(), err.read().decode())
