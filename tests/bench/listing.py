"""`GET /runs` with 100,000 runs kept: how soon a door with that history opens and lists it all, and how it answers.

The door is a process of its own; each kind of question is asked over one connection, one after the other.
"""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from tests.bench.figures import Bar, Figure
from tests.bench.intake import served
from tests.bus.lane import Lane, secured_lane, until
from workers.gateway.callers import hash_of

NAME = "listing"
_KEY = "slk_list000000000000000000000000000000000000"
_BEGAN = datetime(2026, 11, 2, tzinfo=UTC)
_QUESTIONS = {
    "newest": {},
    "failed": {"state": "failed"},
    "of one actor": {"actor": "ci/17"},
    "by pattern": {"subject": "europe-docker.pkg.dev/acme/**:7"},
    "in a time": {"since": "2026-11-02T01:00:00Z", "until": "2026-11-02T01:01:00Z"},
    "of nobody": {"actor": "nobody"},
}


async def measure(*, quick: bool) -> list[Figure]:
    """Store the runs, open a door, and ask."""
    runs, times = (5_000, 20) if quick else (100_000, 100)
    with TemporaryDirectory(prefix="sealane-bench-") as place:
        folder = Path(place)
        seer = {"name": "seer", "api_keys": [hash_of(_KEY)], "may_publish": [], "may_see": [{}]}
        (folder / "policy.json").write_text(json.dumps({"principals": [seer]}))
        async with secured_lane(folder) as lane:
            await _store(lane, runs)
            began = time.perf_counter()
            async with served("door", folder, lane.url, str(folder), str(folder / "policy.json")) as (port, _):
                opened = time.perf_counter() - began
                async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=_headers()) as session:
                    await until(partial(_is_complete, session), within=300, what="all runs are listed")
                    listed = time.perf_counter() - began
                    asked = {what: await _times(session, query, times) for what, query in _QUESTIONS.items()}
    figures = [
        Figure(NAME, "the door opens", opened, "s", Bar("below", 5), detail={"runs": runs}),
        Figure(NAME, "all is listed", listed, "s", Bar("below", 5), detail={"runs": runs}),
    ]
    for what, found in asked.items():
        p99 = sorted(found)[int(len(found) * 0.99)]
        figures.append(Figure(NAME, f"{what}: p99", p99 * 1e3, "ms", Bar("below", 50), min(found) * 1e3, p99 * 1e3))
    return figures


async def _store(lane: Lane, runs: int) -> None:
    for begin in range(0, runs, 2_000):
        await asyncio.gather(*(_say(lane, number) for number in range(begin, min(runs, begin + 2_000))))


async def _say(lane: Lane, number: int) -> None:
    run = f"run{number:040d}"
    image = f"europe-docker.pkg.dev/acme/app{number % 500}/web:{number % 50}"
    event = {"type": "image.pushed", "source": "/ci", "id": str(number), "subject": image, "stream": "EVENTS"}
    outcome: dict[str, Any] = {"outcome": "done"} if number % 100 else {"outcome": "dead", "message": "no such image"}
    at = (_BEGAN + timedelta(milliseconds=100 * number)).isoformat()
    said = {"kind": "result", "worker": "attest", "run": run, "attempt": 1, "n": 1, "at": at, "seconds": 0.02}
    said |= {"event": event | {"sequence": number + 1}, "actor": f"ci/{number % 200}"} | outcome
    await lane.publisher.publish(f"progress.attest.{run}", json.dumps(said).encode())


def _headers() -> dict[str, str]:
    return {"authorization": f"Bearer {_KEY}"}


async def _is_complete(session: aiohttp.ClientSession) -> bool:
    return bool((await _ask(session, {"limit": 1}))["complete"])


async def _ask(session: aiohttp.ClientSession, query: dict[str, Any]) -> dict[str, Any]:
    async with session.get("/runs", params=query) as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def _times(session: aiohttp.ClientSession, query: dict[str, Any], times: int) -> list[float]:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        await _ask(session, query)
        found.append(time.perf_counter() - began)
    return found
