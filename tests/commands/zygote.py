"""A process that has imported the commands and forks one for each call: each is a process of its own, started at once.

`python -m tests.commands.zygote FD`: over the Unix socket FD come requests, each a datagram with one more socket and
the three standard streams; over that socket come arguments, environment and folder, and its exit code goes back.
"""

import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

_LOADED = (
    *("workers.__main__", "workers.app.connecting", "workers.app.clouds", "workers.bus.rooms", "rich.table"),
    *("google.cloud.binaryauthorization_v1", "google.cloud.kms_v1", "grafeas.grafeas_v1", "grpc.aio"),
)
"""What most commands import."""


def serve(requests: socket.socket) -> None:
    """Fork for each request until the asker is gone."""
    for module in _LOADED:
        importlib.import_module(module)
    # Nobody waits for those that wait for the commands.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, received, _, _ = socket.recv_fds(requests, 16, 4)
        if not message:
            return
        if os.fork() == 0:
            requests.close()
            _attend(socket.socket(fileno=received[0]), received[1:])
        for descriptor in received:
            os.close(descriptor)


def _attend(asker: socket.socket, streams: list[int]) -> None:
    """Run one call in a child and report how it ended; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with asker.makefile("rb") as file:
        call = json.loads(file.readline())
    child = os.fork()
    if child == 0:
        asker.close()
        _become(call, streams)
    for descriptor in streams:
        os.close(descriptor)
    _, status = os.waitpid(child, 0)
    asker.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(call: Mapping[str, Any], streams: list[int]) -> None:
    """Be the command, with its own streams, folder and environment; never returns."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(call["environment"])
    os.chdir(call["folder"])
    sys.argv = ["sealane", *call["arguments"]]
    code = 0
    try:
        sys.modules["workers.__main__"].main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
