"""The door over gRPC by the real grpcurl; a run is followed half by one protocol, half by the other."""

import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import DEADLINE, Up, clean_environment, eventually
from workers.bus.topology.identities import read_seed
from workers.bus.transport.connection import connect
from workers.bus.transport.publisher import Publisher
from workers.local.folder import WorldFolder

Start = Callable[..., Up]
GRPCURL = shutil.which("grpcurl", path=str(Path(sys.executable).parent)) or "grpcurl"
EVENT = {"id": "g-1", "source": "/grpcurl", "type": "echo.requested", "spec_version": "1.0"}


def command(*arguments: str) -> list[str]:
    """Return a call of grpcurl, which finds the key in its environment."""
    return [GRPCURL, "-plaintext", "-expand-headers", "-H", "authorization: Bearer ${KEY}", *arguments]


def environment(up: Up) -> dict[str, str]:
    """Return the environment with the key of the world."""
    return clean_environment(KEY=WorldFolder(up.data).api_key())


def ask(up: Up, *arguments: str) -> str:
    """Call to the end, and return what was answered."""
    done = subprocess.run(
        command(*arguments), env=environment(up), capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Following:
    """A command that follows a run and writes what it hears to a file."""

    def __init__(self, up: Up, output: Path, arguments: list[str]) -> None:
        self._output = output
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                arguments, env=environment(up), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.DEVNULL
            )

    @property
    def said(self) -> str:
        """What it wrote so far."""
        return self._output.read_text(encoding="utf-8")

    def ids(self) -> list[str]:
        """Return the ids of what it heard, in order: of events, or of messages as JSON."""
        text, found = self.said, []
        if "id: " in text:
            whole = text.rpartition("\n\n")[0].splitlines()
            return [line.removeprefix("id: ") for line in whole if line.startswith("id: ")]
        place = 0
        while (place := text.find("{", place)) >= 0:
            try:
                message, place = json.JSONDecoder().raw_decode(text, place)
            except ValueError:
                break
            found.append(message["id"])
        return found

    def hears(self, last: str) -> None:
        """Wait until it heard an id."""
        eventually(lambda: last in self.ids(), f"{last} in {self.said!r}")

    def ends(self) -> list[str]:
        """Wait until it ends, and return the ids."""
        self._process.wait(DEADLINE)
        return self.ids()

    def close(self) -> None:
        """End it, if it has not."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(DEADLINE)


class Followers:
    """Begin to follow; each with a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.all: list[Following] = []

    def by_curl(self, up: Up, run: str, after: str = "0") -> Following:
        """Follow by Server-Sent Events; the key is in a file, not in the arguments."""
        headers = self._folder / "headers"
        headers.touch(0o600)
        headers.write_text(f"authorization: Bearer {WorldFolder(up.data).api_key()}\n", encoding="utf-8")
        url = f"{up.endpoints['http']}/progress/{run}?after={after}"
        return self._begin(up, ["curl", "-sN", "-H", f"@{headers}", url])

    def by_grpcurl(self, up: Up, run: str, after: str = "", *more: str) -> Following:
        """Follow over gRPC."""
        wanted = json.dumps({"run": run, "after": after})
        return self._begin(up, command(*more, "-d", wanted, up.endpoints["grpc"], "sealane.v1.Progress/Tail"))

    def _begin(self, up: Up, arguments: list[str]) -> Following:
        self.all.append(Following(up, self._folder / f"heard-{len(self.all)}", arguments))
        return self.all[-1]


@pytest.fixture
def followers(tmp_path: Path) -> Iterator[Followers]:
    """Give what begins to follow; all are ended afterwards."""
    found = Followers(tmp_path)
    yield found
    for one in found.all:
        one.close()


class Player:
    """Says what the worker `echo` says, under its identity, one message after the other."""

    def __init__(self, publisher: Publisher, receipt: dict[str, str]) -> None:
        self._publisher = publisher
        self._receipt = receipt
        self._n = 0

    async def say(self, count: int, **last: Any) -> None:
        """Say some lines; `last` changes the last of them."""
        run = self._receipt["run"]
        reference = {name: value for name, value in self._receipt.items() if name != "run"}
        for number in range(count):
            said = {"kind": "log", "message": f"line {self._n}"} if self._n else {"kind": "started"}
            said |= last if number == count - 1 else {}
            known = {"worker": "echo", "run": run, "event": reference | {"stream": "EVENTS", "sequence": 1}}
            record = known | {"attempt": 1, "n": self._n, "at": "2026-11-02T09:30:00Z"} | said
            await self._publisher.publish(f"progress.echo.{run}", json.dumps(record).encode())
            self._n += 1


@asynccontextmanager
async def playing(up: Up, receipt: dict[str, str]) -> AsyncIterator[Player]:
    """Be the worker `echo`."""
    seed = read_seed(up.data, "worker-echo")
    connection = await connect(up.endpoints["nats"], identity="worker-echo", seed=seed, first_wait=30)
    publisher = Publisher(connection)
    await publisher.start()
    try:
        yield Player(publisher, receipt)
    finally:
        await publisher.close()
        await connection.close()


def test_newcomer_looks_around_with_grpcurl(world: Up) -> None:
    """The local door tells what it serves; an event comes in, its run is followed to the end and listed."""
    place = world.endpoints["grpc"]
    assert {"sealane.v1.Events", "sealane.v1.Progress", "sealane.v1.Runs"} <= set(ask(world, place, "list").split())
    assert "rpc Tail ( .sealane.v1.TailRequest )" in ask(world, place, "describe", "sealane.v1.Progress")
    brought = json.dumps({"events": [EVENT | {"text_data": '{"message": "hello"}'}]})
    receipt = json.loads(ask(world, "-d", brought, place, "sealane.v1.Events/Publish"))["receipts"][0]
    told = ask(world, "-d", json.dumps({"run": receipt["run"]}), place, "sealane.v1.Progress/Tail")
    rows = json.loads(ask(world, "-d", json.dumps({"run": receipt["run"]}), place, "sealane.v1.Runs/List"))

    assert '"complete": true' in told
    assert (rows["runs"][0]["state"], rows["runs"][0]["actor"]) == ("done", "local")


def test_what_is_refused_is_told_with_its_details(world: Up) -> None:
    """Grpcurl shows the sentence, the code and the field."""
    place = world.endpoints["grpc"]
    brought = json.dumps({"events": [EVENT | {"text_data": '{"message": 7}'}]})
    arguments = command("-d", brought, place, "sealane.v1.Events/Publish")
    known = environment(world)
    done = subprocess.run(arguments, env=known, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode != 0
    assert "Code: InvalidArgument" in done.stderr
    assert "events[0].data.message" in done.stderr


async def test_half_by_curl_half_by_grpcurl_while_the_door_is_killed(start: Start, followers: Followers) -> None:
    """The door dies twice (-9) under those who follow; what they heard together is each sequence exactly once."""
    up = start("up", "--no-workers", "--no-door").ready()
    gateway = door(start)
    brought = json.dumps({"events": [EVENT | {"text_data": '{"message": "hello"}'}]})
    receipt = json.loads(ask(up, "-d", brought, up.endpoints["grpc"], "sealane.v1.Events/Publish"))["receipts"][0]
    async with playing(up, receipt) as player:
        await player.say(10)
        first = followers.by_curl(up, receipt["run"])
        first.hears("10")
        gateway.process.kill()
        heard = first.ends()
        await player.say(10)
        gateway.process.wait(DEADLINE)
        gateway = door(start)
        second = followers.by_grpcurl(up, receipt["run"], heard[-1])
        second.hears("20")
        await player.say(10)
        second.hears("25")
        gateway.process.kill()
        heard += second.ends()
        gateway.process.wait(DEADLINE)
        gateway = door(start)
        third = followers.by_curl(up, receipt["run"], heard[-1])
        await player.say(5)
        third.hears("35")
        third.close()
        heard += third.ids()
        last = followers.by_grpcurl(up, receipt["run"], heard[-1])
        await player.say(5, kind="result", outcome="done", seconds=1.0)
        heard += last.ends()
    assert gateway.stop() == 0, gateway.said
    assert heard == [*map(str, range(1, 41)), "40-completed"]


async def test_door_that_is_told_to_stop_says_where_to_go_on(start: Start, followers: Followers) -> None:
    """On SIGTERM an open stream ends at once, with the id in its trailers, and the process long before its grace."""
    up = start("up", "--no-workers", "--no-door").ready()
    gateway = start("gateway", SEALANE_GRACE="600")
    gateway.says("ready: the door")
    brought = json.dumps({"events": [EVENT | {"text_data": '{"message": "hello"}'}]})
    receipt = json.loads(ask(up, "-d", brought, up.endpoints["grpc"], "sealane.v1.Events/Publish"))["receipts"][0]
    async with playing(up, receipt) as player:
        await player.say(3)
        following = followers.by_grpcurl(up, receipt["run"], "", "-v")
        eventually(lambda: '"id": "3"' in following.said, "what was said")
        assert gateway.stop() == 0, gateway.said
        following.ends()
    assert "sealane-resume: 3" in following.said


def door(start: Start) -> Up:
    """Start the door in a process of its own."""
    gateway = start("gateway")
    gateway.says("ready: the door")
    return gateway
