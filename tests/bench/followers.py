"""Many followers of runs in a process of their own: `python -m tests.bench.followers PORT KEY`.

Reads a JSON object from its input: `runs` (a run for each follower), `each` (messages of a run) and `seconds`. Prints
`ready` once everybody heard the first message. Ends when everybody has heard all, or a minute after it should be so:
prints how many did not hear every sequence once and in order, and how long after it was said a message was heard.
"""

import asyncio
import json
import math
import re
import sys
import time
from datetime import datetime
from typing import Any

_EVENT = re.compile(rb"id: (\d+)\r?\nevent: progress\r?\ndata: (\{[^\r\n]*\})\r?\n\r?\n")
_SILENCE = 60.0
_AT_ONCE = 50


class Follower(asyncio.Protocol):
    """One connection that follows one run."""

    def __init__(self, run: str, each: int, key: str) -> None:
        self.run = run
        self.sequences: list[int] = []
        self.seconds: list[float] = []
        self.first = asyncio.get_running_loop().create_future()
        self.all = asyncio.get_running_loop().create_future()
        self._each = each
        self._key = key
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(
            f"GET /progress/{self.run} HTTP/1.1\r\nhost: sealane.example.com\r\naccept: text/event-stream\r\n"
            f"authorization: Bearer {self._key}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Note what is told, and when."""
        now, end = time.time(), 0
        self._rest += data
        for event in _EVENT.finditer(self._rest):
            end = event.end()
            self.sequences.append(int(event[1]))
            self.seconds.append(now - datetime.fromisoformat(json.loads(event[2])["at"]).timestamp())
        self._rest = self._rest[end:]
        if self.sequences and not self.first.done():
            self.first.set_result(None)
        if len(self.sequences) >= self._each and not self.all.done():
            self.all.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Wait no more; who never heard anything was not admitted."""
        if not self.first.done():
            self.first.set_exception(error or ConnectionError(f"the door ended {self.run} before its first message"))
        if not self.all.done():
            self.all.set_result(None)


async def main(port: int, key: str) -> None:
    """Follow."""
    asked: dict[str, Any] = json.loads(await asyncio.to_thread(sys.stdin.readline))
    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(_AT_ONCE)
    followers = [Follower(run, asked["each"], key) for run in asked["runs"]]

    async def begin(follower: Follower) -> None:
        async with gate:
            await loop.create_connection(lambda: follower, "127.0.0.1", port)
            await asyncio.wait_for(follower.first, _SILENCE)

    began = time.perf_counter()
    await asyncio.gather(*map(begin, followers))
    print(json.dumps({"ready": time.perf_counter() - began}), flush=True)
    await asyncio.wait([follower.all for follower in followers], timeout=_SILENCE + asked["seconds"])
    print(json.dumps(report(followers, asked["each"])), flush=True)


def report(followers: list[Follower], each: int) -> dict[str, Any]:
    """Return the figures; the first message of each was said before anybody listened."""
    wrong = [
        follower.run
        for follower in followers
        if len(follower.sequences) != each or follower.sequences != sorted(set(follower.sequences))
    ]
    seconds = sorted(found for follower in followers for found in follower.seconds[1:]) or [math.inf]
    at = {"p50": 0.5, "p99": 0.99, "worst": 1.0}
    found = {name: seconds[min(len(seconds) - 1, int(len(seconds) * share))] * 1e3 for name, share in at.items()}
    return {"wrong": len(wrong), "heard": len(seconds)} | found


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
