"""Processes of ours that are forked from one that has imported what they run: what they cost otherwise is imports.

`Forked` is `subprocess.Popen` for a command of ours: a true child of whoever asks, with the arguments, environment,
folder, streams and session that were asked for. Any other command, and each on another system than Linux, is started
as `Popen` starts it. Tests that a command starts at all use `subprocess.Popen`.
"""

import ctypes
import inspect
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from workers.local.death_signal import dying_with_us

_PATIENCE = 120.0
_SET_CHILD_SUBREAPER = 36
"""Of prctl(2): orphans below us become our children."""
_started = subprocess.Popen
_LAUNCHER = dying_with_us(["-"])[:-2]
"""How a command begins that dies with its parent; the parent's process id and the command itself follow."""
_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
_NOT_SUPPORTED = {"preexec_fn": None, "pass_fds": (), "shell": False, "umask": -1, "executable": None}


class Command(NamedTuple):
    """A command of ours."""

    module: str
    arguments: Sequence[str]
    parent: int | None
    """Which process it must not outlive."""


def command_of(arguments: Sequence[str]) -> Command | None:
    """Return what a command line starts, if it is ours: `python -m MODULE …` or `python …/sealane …`."""
    parent = None
    if len(_LAUNCHER) > 1 and list(arguments[: len(_LAUNCHER)]) == _LAUNCHER:
        parent, arguments = int(arguments[len(_LAUNCHER)]), arguments[len(_LAUNCHER) + 1 :]
    match arguments:
        case [sys.executable, "-m", module, *rest] if module == "workers" or module.startswith("tests."):
            return Command(module, rest, parent)
        case [sys.executable, script, *rest] if Path(script).name == "sealane":
            return Command("workers", rest, parent)
        case _:
            return None


class Forked(subprocess.Popen[Any]):
    """A process that is forked if it runs a command of ours, and started if not."""

    def _execute_child(self, *given: Any) -> None:
        wanted = inspect.signature(_started._execute_child).bind(self, *given).arguments  # type: ignore[attr-defined] # what Popen itself calls
        arguments = wanted["args"]
        command = None
        if sys.platform == "linux" and not isinstance(arguments, str | bytes | os.PathLike):
            command = command_of([os.fspath(one) for one in arguments])
        if command is None or any(wanted.get(name, usual) != usual for name, usual in _NOT_SUPPORTED.items()):
            super()._execute_child(*given)  # type: ignore[misc] # as above
            return
        handles = [wanted[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        streams = [number if handle == -1 else handle for number, handle in enumerate(handles)]
        self.pid = _fork(command, wanted["env"], wanted["cwd"], streams, own_session=wanted["start_new_session"])
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(wanted[name] for name in ends))  # type: ignore[attr-defined] # as above


@contextmanager
def forking() -> Iterator[None]:
    """Let whoever starts processes fork them, also asyncio and the benches."""
    before, subprocess.Popen = subprocess.Popen, Forked  # type: ignore[misc] # for asyncio, which asks the module
    try:
        yield
    finally:
        subprocess.Popen = before  # type: ignore[misc] # as above


class _Zygote:
    """The process that forks; it ends when our end of the socket goes with us."""

    def __init__(self) -> None:
        self.asking = threading.Lock()
        self.channel: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def asked(self) -> socket.socket:
        """Return the socket on which one asks; start the process at the first time."""
        if self.channel is None:
            self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                # The room is for the command lines of those that are forked.
                command = [sys.executable, "-m", "tests.commands.zygote", str(theirs.fileno()), " " * 4096]
                self.process = _started(command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL)
        return self.channel


_zygote = _Zygote()


def ask_over(channel: socket.socket) -> None:
    """Ask another zygote than our own."""
    _zygote.__init__()  # type: ignore[misc] # the locks of a process that forked are not ours
    _zygote.channel = channel


def _fork(
    command: Command,
    environment: Mapping[str, str] | None,
    folder: str | os.PathLike[str] | None,
    streams: Sequence[int],
    *,
    own_session: bool,
) -> int:
    """Have a process forked that is our child, and return its id."""
    call = {
        "module": command.module,
        "arguments": list(command.arguments),
        "parent": command.parent,
        "environment": dict(os.environ if environment is None else environment),
        "folder": os.fspath(folder or Path.cwd()),
        "own_session": own_session,
        "limits": [(limit, *resource.getrlimit(limit)) for limit in _LIMITS],
    }
    ours, theirs = socket.socketpair()
    with _zygote.asking, ours, _adopting():
        with theirs:
            socket.send_fds(_zygote.asked(), [b"call"], [theirs.fileno(), *streams])
        ours.settimeout(_PATIENCE)
        ours.sendall(json.dumps(call).encode() + b"\n")
        with ours.makefile("rb") as answer:
            return int(answer.readline())


@contextmanager
def _adopting() -> Iterator[None]:
    """Become the parent of what is orphaned below us meanwhile."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
