"""A process that is killed while it carries loses nothing and doubles nothing."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.bus.engine.feeding import WIRING
from tests.bus.lane import Lane, until
from tests.commands.forking import Forked
from workers.local.nats import NatsServer

COUNT = 3000


def _spawn(url: str, file: Path) -> Forked:
    command = [sys.executable, "-m", "tests.bus.engine.feeding", url, str(file), str(COUNT)]
    return Forked(command, stderr=subprocess.DEVNULL)


def _acknowledged(file: Path, at_least: int) -> Callable[[], bool]:
    return lambda: file.exists() and file.read_bytes().count(b"\n") >= at_least


async def test_kills_of_worker_and_server_lose_nothing_and_double_nothing(
    lane: Lane, nats_server: NatsServer, tmp_path: Path
) -> None:
    """Killed -9 in the middle, twice, and the server as well: each message is on the bus exactly once."""
    await lane.provision(WIRING)
    file = tmp_path / "acknowledged"
    for at_least in (COUNT // 10, COUNT // 3):
        process = _spawn(nats_server.url, file)
        try:
            await until(_acknowledged(file, at_least), within=120)
        finally:
            process.kill()
            process.wait()
    process = _spawn(nats_server.url, file)
    try:
        await until(_acknowledged(file, COUNT // 2), within=120)
        await nats_server.kill()
        await nats_server.start()
        await until(_acknowledged(file, COUNT), within=120)
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()

    assert set(file.read_text().split()) == {str(number) for number in range(COUNT)}
    carried = Counter(body["reason"] for body in await lane.bodies("EVENTS"))
    assert carried == Counter(str(number) for number in range(COUNT))
