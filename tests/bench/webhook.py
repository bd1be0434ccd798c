"""Deliveries of GitHub at a steady 200 a second: how soon the door has proven, read and stored each.

The load is an open loop from a process of its own: what has to wait for the door counts as latency.
"""

import json
from typing import Any

from tests.bench.figures import Bar, Figure, median_of
from tests.bench.intake import WrongOutcomeError, door_arguments, served, stage
from tests.bench.processes import answer_of
from tests.gateway.webhooks.deliveries import commit, encoded, headers, push_of, sha

NAME = "webhook"
RATE = 200
CONNECTIONS = 32
_WARM_UP = 200


async def measure(*, quick: bool, rounds: int = 3) -> list[Figure]:
    """Deliver pushes, all different, `rounds` times."""
    seconds = 3 if quick else 15
    runs: list[dict[str, Any]] = []
    async with stage() as (lane, _, folder):
        async with served("door", folder, *door_arguments(lane, folder), "--webhooks") as (port, _):
            await _run(port, range(_WARM_UP))
            for number in range(rounds):
                begin = _WARM_UP + number * seconds * RATE
                runs.append(await _run(port, range(begin, begin + seconds * RATE)))
        stored = await lane.count("EVENTS")
    expected = _WARM_UP + rounds * seconds * RATE
    if stored != expected:
        raise WrongOutcomeError(f"{expected} deliveries were answered with 202, and {stored} events are stored")
    detail: dict[str, Any] = {"rate": RATE, "seconds": seconds, "body_bytes": len(_body(0))}
    what = f"push, {RATE} a second"
    return [
        median_of(NAME, f"{what}: p50", [run["p50"] for run in runs], "ms", **detail),
        median_of(NAME, f"{what}: p99", [run["p99"] for run in runs], "ms", Bar("below", 100)),
        median_of(NAME, f"{what}: worst", [run["worst"] for run in runs], "ms"),
    ]


async def _run(port: int, numbers: range) -> dict[str, Any]:
    text = json.dumps([_request(number) for number in numbers])
    found: dict[str, Any] = await answer_of("tests.bench.load", port, CONNECTIONS, RATE, text=text)
    if found["statuses"] != {"202": len(numbers)}:
        raise WrongOutcomeError(f"{len(numbers)} deliveries were answered {found['statuses']}")
    return found


def _body(number: int) -> bytes:
    """Return a push of three commits that is like no other."""
    files = [f"onboarding/tenant-{number}/{name}.yaml" for name in ("project", "access", "budget")]
    return encoded(push_of(*(commit(number * 3 + at, added=[file]) for at, file in enumerate(files)), before=sha(1)))


def _request(number: int) -> str:
    body = _body(number)
    lines = headers(body, "push", f"bench-{number}") | {"Host": "sealane.example.com", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /webhooks/github HTTP/1.1\r\n{head}\r\n{body.decode()}"
