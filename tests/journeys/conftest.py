"""A world of one's own: the real command in a process of its own, on a folder of its own, gone afterwards."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from tests.commands.command import SEALANE, forked
from tests.commands.forking import Forked, forking

T = TypeVar("T")
DEADLINE = 120.0


def clean_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without settings of ours or of gcloud."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEALANE_", "CLOUDSDK_"))}
    return kept | more


def eventually(look: Callable[[], T | None], what: str, deadline: float = DEADLINE) -> T:
    """Return what `look` finds, as soon as it finds something."""
    end, never = time.monotonic() + deadline, threading.Event()
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        never.wait(0.05)
    raise AssertionError(f"not within {deadline:g} s: {what}")


def sealane(*arguments: str, timeout: float = DEADLINE, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    done = forked(arguments, clean_environment(**environment), patience=timeout)
    return subprocess.CompletedProcess(["sealane", *arguments], done.code, done.out, done.err)


class Up:
    """One `sealane up`, or another command that stays.

    It is forked from a process that has loaded it, and so are its workers; `really` lets it start as it does for
    people, and costs seconds.
    """

    def __init__(self, data: Path, *arguments: str, really: bool = False, **environment: str) -> None:
        self.data = data
        kind = subprocess.Popen if really else Forked
        self.output = data.with_name(f"{data.name}-{time.monotonic_ns()}.log")
        with self.output.open("wb") as output:
            self.process: subprocess.Popen[bytes] = kind(
                [*SEALANE, *arguments, "--data", str(data)],
                env=clean_environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """What it wrote so far."""
        return self.output.read_text(errors="replace")

    def says(self, sentence: str, deadline: float = DEADLINE) -> None:
        """Wait until it wrote a sentence."""

        def look() -> bool:
            if sentence in self.said:
                return True
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.said}"
            return False

        eventually(look, f"{sentence!r} in {self.said!r}", deadline)

    def ready(self) -> "Up":
        """Wait until the world is there."""
        self.says("ready. For your shell")
        return self

    @property
    def endpoints(self) -> dict[str, Any]:
        """Where everything is."""
        return dict(json.loads((self.data / "endpoints.json").read_text()))

    def family(self) -> list[psutil.Process]:
        """Return the process and all below it."""
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def workers(self) -> list[psutil.Process]:
        """Return the processes of the workers; one that has just ended has no command line any more."""
        found = []
        for process in self.family():
            with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
                found += [process] if "worker" in process.cmdline() else []
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to stop and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE)


def all_gone(family: list[psutil.Process]) -> bool:
    """Whether none of these processes is left; a zombie that nobody waited for counts as gone."""
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Start commands that stay; all are ended afterwards, whatever happened."""
    started: list[Up] = []

    def begin(*arguments: str, data: Path | None = None, really: bool = False, **environment: str) -> Up:
        command = Up(data or tmp_path / "world", *arguments, really=really, **environment)
        started.append(command)
        return command

    yield begin
    for command in reversed(started):
        if command.process.poll() is None:
            command.process.terminate()
    for command in started:
        try:
            command.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            command.process.kill()
            command.process.wait()


@pytest.fixture
def forks() -> Iterator[None]:
    """Let the processes of a bench be forked."""
    with forking():
        yield


@contextmanager
def shared_world(folder: Path, *arguments: str, really: bool = False, **environment: str) -> Iterator[Up]:
    """Give a world that must end well."""
    up = Up(folder / "world", "up", *arguments, really=really, **environment)
    try:
        yield up.ready()
    finally:
        code = up.stop()
    assert code == 0, up.said


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Give a world with its workers, shared by the tests of a file that leave it as it is."""
    with shared_world(tmp_path_factory.mktemp("shared")) as up:
        yield up


@pytest.fixture(scope="module")
def idle_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Give a world without workers, shared as the other."""
    with shared_world(tmp_path_factory.mktemp("idle"), "--no-workers") as up:
        yield up
