"""Events over HTTP at 64 connections: our door against a bare uvicorn route that only does nats-py's js.publish.

All sides take turns in every round on one nats-server, so that the noise of the machine meets all of them; the load
comes from a process of its own. All that was answered with 202 is counted on the bus afterwards.
"""

import json
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from tests.bench.bus import print_shares
from tests.bench.figures import Bar, Figure, median_of
from tests.bench.processes import answer_of, ended, last_words, spawn
from tests.bench.traffic import BODY_BYTES, pushed
from tests.bus.lane import Lane, secured_lane
from tests.gateway.issuer import AUDIENCE, LocalIssuer
from workers.gateway.callers import hash_of

NAME = "intake"
BARE, KEYED, TOKENS = "bare route", "sealane, API key", "sealane, GitHub token"
CONNECTIONS = 64
_KEY = "slk_bench00000000000000000000000000000000000"
_WARM_UP = 500
_IMAGES = "europe-docker.pkg.dev/acme/apps/**"
_numbers = count(1)


class WrongOutcomeError(AssertionError):
    """A side did not do the work that it was measured for."""


async def measure(*, quick: bool, rounds: int = 5) -> list[Figure]:
    """Run all sides in turn, `rounds` times."""
    requests = 1_000 if quick else 6_000
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in (BARE, KEYED, TOKENS)}
    async with stage() as (lane, issuer, folder), _serving(lane, folder) as ports:
        for side in runs:
            await _run(side, ports[side], _requests(side, issuer, _WARM_UP))
        for _ in range(rounds):
            for side, found in runs.items():
                found.append(await _run(side, ports[side], _requests(side, issuer, requests)))
        stored = await lane.count("EVENTS")
    expected = len(runs) * (_WARM_UP + rounds * requests)
    if stored != expected:
        raise WrongOutcomeError(f"{expected} events were answered with 202, and {stored} are stored")
    return _figures(runs, requests)


async def profile(*, quick: bool) -> None:
    """Print where the CPU time of our door goes, with API keys and with tokens."""
    async with stage() as (lane, issuer, folder):
        for side in (KEYED, TOKENS):
            async with served("door", folder, *door_arguments(lane, folder), "--sample") as serving:
                found = await _run(side, serving, _requests(side, issuer, 2_000 if quick else 10_000))
                process = serving[1]
                process.terminate()
                assert process.stdout is not None
                print_shares(f"{side}, {found['cpu_us']:.0f} µs", json.loads(await process.stdout.readline()))


@asynccontextmanager
async def stage() -> AsyncIterator[tuple[Lane, LocalIssuer, Path]]:
    """Give a bus with the identities of the real workers, a local issuer, and a folder with the door's policy."""
    with TemporaryDirectory(prefix="sealane-bench-") as place:
        folder = Path(place)
        async with secured_lane(folder) as lane, LocalIssuer() as issuer:
            grants = [{"type": "image.pushed", "where": {"image": _IMAGES}}]
            allowed = {"may_publish": grants, "rate": 1_000_000, "burst": 1_000_000}
            claims = {"repository_id": "1296269", "repository_owner_id": "583231", "ref": "refs/heads/*"}
            policy = {
                "issuers": [{"name": "github", "kind": "github", "issuer": issuer.url, "audience": AUDIENCE}],
                "principals": [
                    {"name": "ci", "api_keys": [hash_of(_KEY)], **allowed},
                    {"name": "github/acme/shop", "issuer": "github", "claims": claims, **allowed},
                ],
            }
            (folder / "policy.json").write_text(json.dumps(policy))
            yield lane, issuer, folder


@asynccontextmanager
async def _serving(lane: Lane, folder: Path) -> AsyncIterator[Mapping[str, tuple[int, Process]]]:
    async with AsyncExitStack() as stack:
        bare = await stack.enter_async_context(served("bare", folder, lane.url, str(folder)))
        ours = await stack.enter_async_context(served("door", folder, *door_arguments(lane, folder)))
        yield {BARE: bare, KEYED: ours, TOKENS: ours}


def door_arguments(lane: Lane, folder: Path) -> tuple[str, str, str]:
    """Return where bus, seeds and policy are."""
    return lane.url, str(folder), str(folder / "policy.json")


@asynccontextmanager
async def served(side: str, folder: Path, *arguments: str) -> AsyncIterator[tuple[int, Process]]:
    """Run one side in a process of its own while the block runs; give its port."""
    errors = folder / f"{side}.log"
    process = await spawn("-m", f"tests.bench.sides.{side}", *arguments, errors=errors)
    try:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise WrongOutcomeError(f"{side} did not start: {last_words(errors)}")
        yield json.loads(line)["port"], process
    finally:
        await ended(process)


def _requests(side: str, issuer: LocalIssuer, many: int) -> list[str]:
    """Return whole requests, all different; a token is good for one event."""
    return [_request(issuer.token() if side == TOKENS else _KEY, next(_numbers)) for _ in range(many)]


def _request(credential: str, number: int) -> str:
    body = pushed(number).model_dump_json()
    return (
        "POST /events HTTP/1.1\r\nhost: sealane.example.com\r\nuser-agent: bench\r\naccept: */*\r\n"
        f"authorization: Bearer {credential}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"ce-specversion: 1.0\r\nce-id: {number:010d}\r\nce-source: /ci/bench\r\nce-type: image.pushed\r\n\r\n{body}"
    )


async def _run(side: str, serving: tuple[int, Process], requests: list[str]) -> dict[str, Any]:
    port, process = serving
    before = sum(psutil.Process(process.pid).cpu_times()[:2])
    found: dict[str, Any] = await answer_of("tests.bench.load", port, CONNECTIONS, text=json.dumps(requests))
    if found["statuses"] != {"202": len(requests)}:
        raise WrongOutcomeError(f"{side} answered {found['statuses']} to {len(requests)} requests")
    spent = sum(psutil.Process(process.pid).cpu_times()[:2]) - before
    return found | {"cpu_us": spent / len(requests) * 1e6}


def _figures(runs: Mapping[str, list[dict[str, Any]]], requests: int) -> list[Figure]:
    detail: dict[str, Any] = {"requests": requests, "connections": CONNECTIONS, "body_bytes": BODY_BYTES}
    figures = []
    for side, found in runs.items():
        figures += [
            median_of(NAME, side, [run["rate"] for run in found], "requests/s", **detail),
            median_of(NAME, f"{side}: p99", [run["p99"] for run in found], "ms"),
            median_of(NAME, f"{side}: CPU", [run["cpu_us"] for run in found], "µs/request"),
        ]
    for side, bar in ((KEYED, Bar("at least", 0.7)), (TOKENS, None)):
        ratios = [ours["rate"] / bare["rate"] for ours, bare in zip(runs[side], runs[BARE], strict=True)]
        figures.append(median_of(NAME, f"{side} / {BARE}", ratios, "times", bar))
    return figures
