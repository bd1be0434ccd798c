"""`sealane up`: one command, one folder, one world."""

import json
import re
import signal
import socket
import stat
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.journeys.conftest import Up, all_gone, eventually, sealane, shared_world

Start = Callable[..., Up]
KEYS = {"nats", "http", "grpc", "google_rest", "google_grpc", "registry", "project", "token", "pid"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Give a world that was started as people start it, with its environment and those of its workers."""
    with shared_world(tmp_path_factory.mktemp("shared"), really=True) as up:
        yield up


def get(url: str, **headers: str) -> tuple[int, str]:
    """Return the status and the body of an answer, whatever the status."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:  # noqa: S310 - loopback
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_everything_that_it_names_answers(world: Up) -> None:
    """Bus, door, clouds and registry answer at the endpoints that the file names."""
    endpoints = world.endpoints

    assert set(endpoints) >= KEYS
    assert endpoints["pid"] == world.process.pid
    status, page = get(f"{endpoints['http']}/readyz")
    assert status == 200
    assert json.loads(page)["ready"] is True
    assert get(f"{endpoints['http']}/livez")[0] == 200
    assert get(f"http://{endpoints['registry']}/v2/")[0] == 401
    token = Path(endpoints["token"]).read_text()
    attestor = f"{endpoints['google_rest']}/v1/{endpoints['attestor']}"
    status, body = get(attestor, Host="binaryauthorization.googleapis.com", Authorization=f"Bearer {token}")
    assert status == 200
    assert json.loads(body)["userOwnedGrafeasNote"]["noteReference"] == endpoints["note"]


def test_grpc_door_says_that_it_serves(world: Up) -> None:
    """The standard health service answers on the gRPC port."""
    with grpc.insecure_channel(world.endpoints["grpc"]) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_page_shows_workers_at_work(world: Up) -> None:
    """A person who opens the page reads which workers are at work."""
    page = eventually(
        lambda: (body := get(f"{world.endpoints['metrics']}/")[1]).count("at work") >= 2 and body, "workers at work"
    )

    assert "<td>attest</td>" in page
    assert "<td>echo</td>" in page


def test_every_worker_says_that_it_is_ready(world: Up) -> None:
    """Each may ask the bus for all that its readiness looks at, also one that consumes no event."""
    log = world.data / "logs" / "workers.log"
    place = eventually(lambda: re.search(r"metrics: (http://[0-9.:]+)/metrics", log.read_text()), "a started process")[
        1
    ]

    def reasons() -> dict[str, list[str]]:
        page: dict[str, dict[str, list[str]]] = json.loads(get(f"{place}/readyz")[1])
        return {name: said["reasons"] for name, said in page.items() if said["reasons"]}

    eventually(lambda: not reasons(), f"all ready, not {reasons()}")


def test_secrets_are_for_their_owner_alone(world: Up) -> None:
    """Token, seeds and the folder itself cannot be read by anybody else; none is printed, served or in an argv."""
    token = Path(world.endpoints["token"])
    key = Path(world.endpoints["api_key"])
    secrets = [token, key, world.data / "door.curl", *(world.data / "identities").glob("*.seed")]

    assert [stat.S_IMODE(file.stat().st_mode) for file in secrets] == [0o600] * len(secrets)
    assert stat.S_IMODE(world.data.stat().st_mode) == 0o700
    logs = [file.read_text(errors="replace") for file in (world.data / "logs").iterdir()]
    pages = [get(f"{world.endpoints['http']}{page}")[1] for page in ("/", "/readyz", "/livez")]
    pages += [get(f"{world.endpoints['metrics']}{page}")[1] for page in ("/", "/readyz", "/livez", "/metrics")]
    family = [" ".join([*process.cmdline(), *process.environ().values()]) for process in world.family()]
    shown = [world.said, json.dumps(world.endpoints), *logs, *pages, *family]
    assert len(family) >= 3
    assert not [file.name for file in secrets for text in shown if file.read_text().strip() in text]


def test_second_up_says_who_holds_the_folder(world: Up) -> None:
    """One world per folder: another `up` fails with a sentence that names the process."""
    second = sealane("up", "--data", str(world.data))

    assert second.returncode == 1
    assert f"is in use by process {world.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    assert world.endpoints["pid"] == world.process.pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_nothing_behind(start: Start, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end all processes, free the folder, and exit 0; start and end are said when they begin."""
    up = start("up").ready()
    family = up.family()
    assert len(family) >= 3

    assert up.stop(number) == 0, up.said
    assert up.said.startswith(f"starting the world in {up.data}\n")
    assert "\nstopping …\n" in up.said
    eventually(lambda: all_gone(family), f"{family} gone")
    assert not (up.data / "endpoints.json").exists()


def test_kill_minus_nine_takes_all_with_it_and_the_next_one_goes_on(start: Start) -> None:
    """After kill -9 no child is left, stale endpoints do not count, and a new world has ports and data of the old."""
    up = start("up").ready()
    family, before = up.family(), up.endpoints
    up.stop(signal.SIGKILL)
    eventually(lambda: all_gone(family), f"{family} gone")

    stale = sealane("doctor", "--data", str(up.data))
    assert stale.returncode == 1
    assert "no world is running" in stale.stderr
    again = start("up").ready()
    after = again.endpoints
    assert {name: after[name] for name in before if name != "pid"} == {n: before[n] for n in before if n != "pid"}


def test_restart_keeps_the_data(start: Start) -> None:
    """What was published and attested before a restart is there after it."""
    up = start("up").ready()
    data = str(up.data)
    published = sealane("publish", "echo.requested", "--set", "message=kept", "--id", "kept", "--wait", "--data", data)
    assert published.returncode == 0, published.stderr
    up.stop()

    start("up").ready()
    repeat = sealane("publish", "echo.requested", "--set", "message=kept", "--id", "kept", "--json", "--data", data)
    assert repeat.returncode == 0, repeat.stderr
    assert json.loads(repeat.stdout)["duplicate"] is True


def test_a_kept_port_that_somebody_took_is_named(start: Start, tmp_path: Path) -> None:
    """When another program listens on a kept port, the sentence names port, purpose and remedy."""
    up = start("up", "--no-workers").ready()
    port = int(up.endpoints["registry"].rpartition(":")[2])
    up.stop()
    with socket.create_server(("127.0.0.1", port)):
        refused = sealane("up", "--data", str(up.data))

    assert refused.returncode == 1
    assert f"port {port} (registry)" in refused.stderr
    assert "ports.json" in refused.stderr


def test_workers_that_die_come_back(start: Start) -> None:
    """The process of the workers is started again when it ends, with growing pauses."""
    up = start("up").ready()
    child = eventually(lambda: next(iter(up.workers()), None), "the workers' process")
    child.kill()

    def another() -> psutil.Process | None:
        return next((process for process in up.workers() if process != child), None)

    assert eventually(another, "another process").pid != child.pid
    assert "starting again" in up.said


def test_bus_that_dies_comes_back_and_the_lane_goes_on(start: Start) -> None:
    """After kill -9 of nats-server it is started again on its data, and everybody connects anew."""
    up = start("up").ready()
    (server,) = (process for process in up.family() if process.name() == "nats-server")
    server.kill()
    up.says("nats-server ended and starts again")

    def answered() -> bool:
        arguments = ("--set", "message=after the crash", "--id", "after", "--wait", "--timeout", "30")
        return sealane("publish", "echo.requested", *arguments, "--data", str(up.data)).returncode == 0

    eventually(answered, "an answer after the crash")
