"""The `sealane` command as a process, against one server."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
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
        """Run the command to its end; forked from one that has imported it, which saves a second each time."""
        return await asyncio.to_thread(forked, arguments, self._environment, stdin)


@cache
def _zygote() -> "tuple[socket.socket, subprocess.Popen[bytes]]":
    """Start what forks, once; it ends when our end of the socket goes with us."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "tests.commands.zygote", str(theirs.fileno())]
        return ours, subprocess.Popen(command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL)


def forked(
    arguments: Sequence[str], environment: Mapping[str, str], stdin: str = "", *, patience: float = PATIENCE
) -> Finished:
    """Run a command to its end in a process of its own. Raises TimeoutError after so many seconds."""
    with TemporaryFile() as typed, TemporaryFile() as out, TemporaryFile() as err:
        typed.write(stdin.encode())
        typed.seek(0)
        call = {"arguments": arguments, "environment": dict(environment), "folder": str(Path.cwd())}
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                streams = (typed.fileno(), out.fileno(), err.fileno())
                socket.send_fds(_zygote()[0], [b"call"], [theirs.fileno(), *streams])
            ours.settimeout(patience)
            ours.sendall(json.dumps(call).encode() + b"\n")
            with ours.makefile("rb") as answer:
                code = int(answer.readline())
        for file in (out, err):
            file.seek(0)
        return Finished(code, out.read().decode(), err.read().decode())
