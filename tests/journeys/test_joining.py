"""`sealane worker`: joins the world from another process."""

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.journeys.conftest import Up, all_gone, eventually, sealane

Start = Callable[..., Up]


def test_worker_waits_for_the_world_and_joins_it(start: Start) -> None:
    """A worker that is started first says what it waits for, and answers once the world is there."""
    worker = start("worker", "echo", really=True)
    worker.says("no world is running")
    up = start("up", "--no-workers").ready()
    worker.says("ready: echo")

    answer = sealane("publish", "echo.requested", "--set", "message=hello", "--wait", "--data", str(up.data))
    assert answer.returncode == 0, answer.stderr
    assert worker.stop() == 0, worker.said
    assert "stopped: echo" in worker.said


def test_waiting_worker_gives_way_to_a_signal(start: Start) -> None:
    """A worker that still waits for the world ends at once when told so, with exit 0."""
    worker = start("worker", "echo", "attest")
    worker.says("no world is running")

    assert worker.stop(signal.SIGINT) == 0, worker.said


def test_replicas_share_the_work(start: Start) -> None:
    """With two processes of one worker, and one of them killed, every event is answered."""
    up = start("up", "--no-workers").ready()
    first, second = start("worker", "echo"), start("worker", "echo")
    first.says("ready: echo")
    second.says("ready: echo")
    family = first.family()
    first.stop(signal.SIGKILL)
    eventually(lambda: all_gone(family), "the first replica gone")

    answer = sealane("publish", "echo.requested", "--set", "message=still there?", "--wait", "--data", str(up.data))
    assert answer.returncode == 0, answer.stderr


def test_worker_process_tells_its_health_and_metrics(start: Start) -> None:
    """Every worker process serves /livez, /readyz and /metrics, labelled by worker and never by subject."""
    up = start("up", "--no-workers").ready()
    worker = start("worker", "echo")
    worker.says("ready: echo")
    line = next(line for line in worker.said.splitlines() if "ready: echo" in line)
    address = json.loads(line)["message"].rpartition(" ")[2].removesuffix("/metrics")
    published = sealane("publish", "echo.requested", "--set", "message=count me", "--wait", "--data", str(up.data))
    assert published.returncode == 0, published.stderr

    def page(name: str) -> str | None:
        try:
            with urllib.request.urlopen(f"{address}/{name}", timeout=30) as answer:  # noqa: S310 - loopback
                return str(answer.read().decode())
        except urllib.error.HTTPError as busy:
            busy.close()
            return None

    pages = {name: eventually(lambda name=name: page(name), name) for name in ("livez", "readyz", "metrics")}

    assert json.loads(pages["livez"])["echo"]["live"] is True
    assert json.loads(pages["readyz"])["echo"]["ready"] is True
    assert 'sealane_handled_total{outcome="done",worker="echo"} 1.0' in pages["metrics"]
    assert "echo.requested" not in pages["metrics"]


def test_unknown_worker_is_named_with_the_known_ones(tmp_path: Path) -> None:
    """A worker that does not exist is bad input: exit 2 and the list of those that do."""
    wrong = sealane("worker", "nobody", "--data", str(tmp_path))

    assert wrong.returncode == 2
    assert "there is no worker 'nobody'" in wrong.stderr
    assert "attest" in wrong.stderr
