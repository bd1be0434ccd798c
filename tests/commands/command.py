"""The `sealane` command as a process, against one server."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 60.0


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

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start the command and leave it running."""
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "workers", *arguments), env=self._environment, stdin=pipe, stdout=pipe, stderr=pipe
        )

    async def start_on(self, terminal: int, *arguments: str) -> asyncio.subprocess.Process:
        """Start the command on a terminal, given by its file descriptor."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "workers", *arguments),
            env=self._environment | {"TERM": "xterm-256color"},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )

    async def __call__(self, *arguments: str, stdin: str = "") -> Finished:
        """Run the command to its end."""
        process = await self.start(*arguments)
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), PATIENCE)
        assert process.returncode is not None
        return Finished(process.returncode, out.decode(), err.decode())
