"""A process that is forked finds itself as one that is started."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.commands.forking import Forked

MIRROR = (sys.executable, "-m", "tests.commands.mirror")
HOME = Path(__file__).parents[2]


def reflected(kind: type[Any], *arguments: str, **options: Any) -> tuple[int, dict[str, Any], str]:
    """Return the exit code, what the process found, and its errors."""
    pipe = subprocess.PIPE
    with kind([*MIRROR, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=HOME, **options) as process:
        out, err = process.communicate("typed", timeout=120)
    return process.returncode, json.loads(out), err


@pytest.mark.parametrize(
    "variables", [{"PYTHONUNBUFFERED": "1"}, {"PYTHONUNBUFFERED": ""}, {"PYTHONWARNINGS": "error"}]
)
def test_forked_process_finds_what_a_started_one_finds(variables: dict[str, str]) -> None:
    """Command line, parent, session, folder, environment, streams, signals, limits: all is as it was asked for."""
    environment = {**os.environ, "ANSWER": "42", **variables}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, before[1]))
    try:
        options = {"env": environment, "start_new_session": True}
        started, forked = [reflected(kind, "a b", "", **options) for kind in (subprocess.Popen, Forked)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert {name: (said, forked[1][name]) for name, said in started[1].items() if said != forked[1][name]} == {}
    assert forked[2] == started[2]
    assert (forked[0], forked[1]["parent"], forked[1]["typed"]) == (7, os.getpid(), "typed")


@pytest.mark.parametrize("end", ["stumble", "interrupted"])
def test_forked_process_ends_as_a_started_one(end: str) -> None:
    """By an exception with its stack and 1, by an interrupt with that signal."""
    started, forked = [reflected(kind, end) for kind in (subprocess.Popen, Forked)]

    assert forked[0] == started[0]
    assert forked[2].splitlines()[-1] == started[2].splitlines()[-1]


def test_forked_process_is_killed_and_leaves_no_zombie() -> None:
    """It is a child of whoever asked: kill -9 is seen as it is, and once it was waited for, nothing is left."""
    process = Forked([*MIRROR], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    seen = psutil.Process(process.pid)
    process.kill()

    assert process.wait(120) == -signal.SIGKILL
    process.communicate()
    assert not seen.is_running()
    assert seen.pid not in {child.pid for child in psutil.Process().children()}
