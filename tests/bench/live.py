"""2,000 followers of runs by Server-Sent Events at one door, while 200 messages a second are said of their runs.

The other side is the naive way (sse-starlette, an ordered consumer for each client), in the same run on the same
server, whose limit of consumers is raised for it: since 2.15 nats-server admits 1,000 to a stream. Every follower must
hear every message once and in order; load and followers are other processes.
"""

import asyncio
import json
import time
from asyncio.subprocess import Process
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from tests.bench.figures import Bar, Figure
from tests.bench.intake import WrongOutcomeError, served
from tests.bench.processes import ended, last_words, spawn
from tests.bus.lane import Lane, secured_lane
from workers.bus.topology.streams import PROGRESS
from workers.gateway.callers import hash_of

NAME = "live"
OURS, NAIVE = "sealane", "sse-starlette, a consumer each"
RATE = 200
"""Messages a second."""
_SHARED = 4
"""Followers of one run."""
_KEY = "slk_live000000000000000000000000000000000000"


async def measure(*, quick: bool) -> list[Figure]:
    """Run both sides, one after the other."""
    followers, seconds = (200, 3) if quick else (2_000, 20)
    figures: list[Figure] = []
    with TemporaryDirectory(prefix="sealane-bench-") as place:
        folder = Path(place)
        seer = {"name": "seer", "api_keys": [hash_of(_KEY)], "may_publish": [], "may_see": [{}], "open_streams": 10_000}
        (folder / "policy.json").write_text(json.dumps({"principals": [seer]}))
        async with secured_lane(folder) as lane:
            await _admit(lane, 2 * followers)
            sides = {
                OURS: ("door", lane.url, str(folder), str(folder / "policy.json")),
                NAIVE: ("naive", lane.url, str(folder)),
            }
            for side, (module, *arguments) in sides.items():
                async with served(module, folder, *arguments) as (port, process):
                    found = await _run(side, lane, port, process, followers, seconds, folder / "followers.log")
                figures += _figures(side, found, followers, seconds)
    return figures


async def _admit(lane: Lane, consumers: int) -> None:
    """Let the stream have so many consumers."""
    js = lane.connection.client.jetstream()
    config = (await js.stream_info(PROGRESS)).config
    await js.update_stream(config.evolve(max_consumers=consumers))


async def _run(
    side: str, lane: Lane, port: int, process: Process, followers: int, seconds: int, errors: Path
) -> dict[str, Any]:
    watched = psutil.Process(process.pid)
    runs = [f"{side.split(',', maxsplit=1)[0]}-{number}" for number in range(followers // _SHARED)]
    each = 1 + RATE * seconds // len(runs)
    await asyncio.gather(*(_say(lane, run, 0) for run in runs))
    alone = watched.memory_info().rss
    clients = await spawn("-m", "tests.bench.followers", str(port), _KEY, errors=errors)
    assert clients.stdin is not None
    try:
        asked = {"runs": runs * _SHARED, "each": each, "seconds": seconds}
        clients.stdin.write(json.dumps(asked).encode() + b"\n")
        ready = await _line(clients, side, errors)
        held = watched.memory_info().rss
        before, began = sum(watched.cpu_times()[:2]), time.perf_counter()
        await _speak(lane, runs, each)
        spent, took = sum(watched.cpu_times()[:2]) - before, time.perf_counter() - began
        found = await _line(clients, side, errors)
    finally:
        await ended(clients)
    if found["wrong"] and side == OURS:
        raise WrongOutcomeError(f"{side}: {found['wrong']} followers did not hear every message once and in order")
    return found | {"cpu": 100 * spent / took, "memory": (held - alone) / followers / 1024, **ready}


async def _line(clients: Process, side: str, errors: Path) -> dict[str, Any]:
    assert clients.stdout is not None
    line = await clients.stdout.readline()
    if not line:
        raise WrongOutcomeError(f"{side}: the followers gave up: {last_words(errors)}")
    found: dict[str, Any] = json.loads(line)
    return found


async def _speak(lane: Lane, runs: list[str], each: int) -> None:
    """Say the messages at their times."""
    began, saying = time.perf_counter(), set[asyncio.Task[None]]()
    for number in range(len(runs) * (each - 1)):
        early = began + number / RATE - time.perf_counter()
        if early > 0:
            await asyncio.sleep(early)
        task = asyncio.create_task(_say(lane, runs[number % len(runs)], 1 + number // len(runs)))
        saying.add(task)
        task.add_done_callback(saying.discard)
    if saying:
        await asyncio.wait(saying)


async def _say(lane: Lane, run: str, number: int) -> None:
    event = {"type": "image.pushed", "source": "/ci", "id": run, "subject": "shop", "stream": "EVENTS", "sequence": 1}
    message = {"kind": "log" if number else "started", "worker": "attest", "run": run, "event": event, "attempt": 1}
    said = message | {"n": number, "at": datetime.now(UTC).isoformat(), "message": f"line {number} of {run}"}
    await lane.publisher.publish(f"progress.attest.{run}", json.dumps(said).encode())


def _figures(side: str, found: dict[str, Any], followers: int, seconds: int) -> list[Figure]:
    detail = {"followers": followers, "messages_per_second": RATE, "seconds": seconds, "heard": found["heard"]}
    bars = {"memory": Bar("below", 60), "wrong": Bar("below", 1)} if side == OURS else {}
    units = {
        "wrong": ("followers that missed or repeated something", ""),
        "p50": ("p50, said to heard", "ms"),
        "p99": ("p99, said to heard", "ms"),
        "cpu": ("CPU of the door", "%"),
        "memory": ("memory of a follower", "KiB"),
        "ready": ("all have connected and heard", "s"),
    }
    return [
        Figure(NAME, f"{side}: {what}", found[name], unit, bars.get(name), detail=detail)
        for name, (what, unit) in units.items()
    ]
