"""Ten thousand requests in one burst, and a smaller one: 202 is stored, the rest is told when to come again."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.bench.intake import served
from tests.bench.processes import answer_of
from tests.bus.lane import Lane
from tests.commands.forking import forking
from tests.gateway.conftest import KEY, SLOW_KEY
from workers.gateway.callers import hash_of

_BURSTS, _FROM_SLOW = (10_000, 3_000), 1_000
_AT_ONCE, _CALM = 500, 32
_SLOW_BURST = 2
_MAY = {"may_publish": [{"type": "echo.requested"}]}
_POLICY = {
    "principals": [
        {"name": "ci", "api_keys": [hash_of(KEY)], "rate": 1_000_000, "burst": 1_000_000, **_MAY},
        {"name": "slow", "api_keys": [hash_of(SLOW_KEY)], "rate": 1, "burst": _SLOW_BURST, **_MAY},
    ]
}
_MIB = 1024**2
_ROOM = 48
"""MiB that a burst may take at most: 500 connections, and what the allocator keeps."""
_GROWTH = 8
"""MiB that a second burst may add: what the first one needed is used again."""


def _request(number: int, event: int) -> str:
    key, source = (SLOW_KEY, "/slow/1") if number < _FROM_SLOW else (KEY, "/ci")
    body = json.dumps({"message": f"request {event} of a burst"})
    return (
        f"POST /events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nce-specversion: 1.0\r\nce-id: {event}\r\nce-source: {source}\r\n"
        f"ce-type: echo.requested\r\n\r\n{body}"
    )


async def _send(port: int, connections: int, requests: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = await answer_of("tests.bench.load", port, connections, text=json.dumps(requests))
    return found


@pytest.mark.timeout(600)
async def test_burst_loses_nothing_and_leaves_nothing(lane: Lane, tmp_path: Path) -> None:
    """All of it is stored, or told 429 or 503 with Retry-After; what is sent again is stored; memory is flat."""
    rules = tmp_path / "policy.json"
    rules.write_text(json.dumps(_POLICY))
    statuses, slow, kept = Counter[str](), 0, []
    with forking():
        async with served("door", tmp_path, lane.url, str(tmp_path), str(rules)) as (port, process):
            memory = psutil.Process(process.pid).memory_info
            await _send(port, _CALM, [_request(_FROM_SLOW, event) for event in range(500)])
            kept.append(memory().rss / _MIB)
            for burst, size in enumerate(_BURSTS, 1):
                requests = [_request(number, burst * 10_000 + number) for number in range(size)]
                found = await _send(port, _AT_ONCE, requests)
                statuses.update(found["statuses"])
                kept.append(memory().rss / _MIB)
                again = [number for number in found["refused"] if number >= _FROM_SLOW]
                slow += _FROM_SLOW - (len(found["refused"]) - len(again))
                if again:
                    calm = await _send(port, _CALM, [requests[number] for number in again])
                    assert set(calm["statuses"]) == {"202"}

    assert set(statuses) <= {"202", "429", "503"}
    assert statuses["202"] > 0
    assert statuses["429"] > 0
    assert await lane.count("EVENTS") == 500 + sum(_BURSTS) - len(_BURSTS) * _FROM_SLOW + slow
    assert slow <= 2 * _SLOW_BURST
    assert max(kept) - kept[0] < _ROOM
    assert kept[2] - kept[1] < _GROWTH
    print(f"burst: {dict(statuses)}, {', '.join(f'{one:.0f}' for one in kept)} MiB")
