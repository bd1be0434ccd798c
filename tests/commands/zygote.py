"""A process that has imported what our commands run and forks one for each call; see `tests.commands.forking`.

`python -m tests.commands.zygote FD ROOM`: over the Unix socket FD come requests, each a datagram with one more socket
and the three standard streams; over that socket come module, arguments, environment and folder, and the process id
goes back. ROOM is overwritten by the command lines of those that are forked.
"""

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import resource
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

_LOADED = (
    *("google.cloud.binaryauthorization_v1", "google.cloud.kms_v1", "google.pubsub_v1", "grafeas.grafeas_v1"),
    *("grpc.aio", "grpc_health.v1.health_pb2_grpc", "grpc_reflection.v1alpha.reflection", "grpc_status.rpc_status"),
    *("faststream.nats", "nats.aio.client", "nats.js", "nkeys", "aiohttp.web", "starlette.applications", "uvicorn"),
    *("rich.console", "rich.live", "rich.table", "rich.traceback", "pysequoia", "jwt", "yaml"),
    *("cryptography.hazmat.primitives.asymmetric.ec", "prometheus_client", "opentelemetry.sdk.trace.export"),
)
"""What our modules import, those of them included that they import only when they need it."""
_PACKAGES = ("schemas", "workers")
"""Of these, every module is loaded, as far as its packages are installed."""
_STEERING = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "OPENSSL_", "PROTOCOL_BUFFERS_")
"""How variables begin that count when an interpreter starts: who wants others than we have is started, not forked."""
_UNBUFFERED = "PYTHONUNBUFFERED"
_SET_PDEATHSIG = 1
"""Of prctl(2): which signal one gets when one's parent ends."""
_STARTS_OTHERS = {"up", "demo"}


def _load() -> None:
    for module in _LOADED:
        importlib.import_module(module)
    for package in map(importlib.import_module, _PACKAGES):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(found.name)
    if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - a count
        raise RuntimeError("a module starts a thread when it is imported: a fork would leave it behind")
    gc.collect()
    gc.freeze()


def serve(requests: socket.socket) -> None:
    """Fork for each request until the asker is gone."""
    while True:
        message, received, _, _ = socket.recv_fds(requests, 16, 4)
        if not message:
            return
        # Who is orphaned becomes a child of the asker, which has made itself the reaper of what is below it.
        begin, held = os.pipe()
        between = os.fork()
        if between == 0:
            if os.fork() == 0:
                os.close(held)
                requests.close()
                os.read(begin, 1)
                os.close(begin)
                _attend(socket.socket(fileno=received[0]), received[1:])
            os._exit(0)
        os.waitpid(between, 0)  # only then is the orphan adopted, and may begin
        for descriptor in (begin, held, *received):
            os.close(descriptor)


def _attend(asker: socket.socket, streams: list[int]) -> None:
    """Be the command, with its own streams, folder and environment; never returns."""
    with asker, asker.makefile("rb") as file:
        call = json.loads(file.readline())
        if call["own_session"]:
            os.setsid()
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(call["folder"])
        for limit, soft, hard in call["limits"]:
            resource.setrlimit(limit, (soft, hard))
        if call["parent"] is not None:
            ctypes.CDLL(None).prctl(_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        is_orphan = call["parent"] not in {None, os.getppid()}
        asker.sendall(b"%d\n" % os.getpid())
    if is_orphan:
        os._exit(1)
    command = [sys.executable, "-m", call["module"], *call["arguments"]]
    if _steering(os.environ) != _steering(call["environment"]):
        os.execve(sys.executable, command, call["environment"])  # noqa: S606 - as it was asked for
    sys.orig_argv = command
    _call_oneself(command)
    os.environ.clear()
    os.environ.update(call["environment"])
    time.tzset()
    _open_streams(unbuffered=bool(os.environ.get(_UNBUFFERED)))
    if call["module"] == "workers" and _STARTS_OTHERS.intersection(call["arguments"][:1]):
        _let_fork()
    _run(call["module"], call["arguments"])


def _steering(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in environment.items() if key.startswith(_STEERING) and key != _UNBUFFERED}


def _call_oneself(command: list[str]) -> None:
    """Show a command line where `ps` looks; see proc(5) for the place."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    text = b"\0".join(map(os.fsencode, command))[: end - start - 1]
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, text, len(text))


def _open_streams(*, unbuffered: bool) -> None:
    """Open the standard streams as an interpreter does when it starts."""
    ours = sys.stdin
    sys.stdin = open(0, encoding=ours.encoding, errors=ours.errors, closefd=False)  # noqa: SIM115 - a descriptor
    for number, name in ((1, "stdout"), (2, "stderr")):
        raw = open(number, "wb", buffering=0 if unbuffered else -1, closefd=False)  # noqa: SIM115 - as above
        ours = getattr(sys, name)
        stream = io.TextIOWrapper(
            raw,
            encoding=ours.encoding,
            errors=ours.errors,
            line_buffering=not unbuffered and (number == 2 or os.isatty(number)),
            write_through=unbuffered,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _let_fork() -> None:
    """Let what this process starts be forked as well, by one that is below it."""
    from tests.commands import forking  # noqa: PLC0415 - few need it

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nothing, number)
        serve(theirs)
        os._exit(0)
    theirs.close()
    forking.ask_over(ours)
    subprocess.Popen = forking.Forked  # type: ignore[misc] # for asyncio, which asks the module


def _run(module: str, arguments: list[str]) -> None:
    """Run a module as the program, and end as an interpreter ends."""
    code = 0
    sys.argv, sys.path[0] = [module, *arguments], str(Path.cwd())
    try:
        if module == "workers":
            sys.modules["workers.__main__"].main()
        else:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        sys.stdout.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    except BaseException:  # noqa: BLE001 - the last place that can tell it
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        threading._shutdown()  # type: ignore[attr-defined] # what an interpreter does first when it ends
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _load()
    serve(socket.socket(fileno=int(sys.argv[1])))
