"""Load over HTTP/1.1 from a process of its own: `python -m tests.bench.load PORT CONNECTIONS [RATE]`.

Reads a JSON list of whole requests from its input and sends them over connections that stay open, on each the next one
as soon as the one before is answered; with RATE each at its time, so many a second, whatever became of the others
(an open loop: what waits for a free connection counts as latency). Prints what was answered, and how soon.
"""

import asyncio
import json
import re
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STATUS = slice(9, 12)
_LATER = {"429", "503"}


class Load:
    """The requests that are still to be sent, and what became of the others."""

    def __init__(self, requests: Sequence[bytes], rate: float | None) -> None:
        self.waiting = deque(enumerate(requests))
        self.rate = rate
        self.sent = 0
        self.statuses: Counter[str] = Counter()
        self.refused: list[int] = []
        self.seconds: list[float] = []
        self.began = 0.0

    def due(self) -> float:
        """Return when the next request is to be sent."""
        return time.perf_counter() if self.rate is None else self.began + self.sent / self.rate

    def report(self, took: float) -> dict[str, object]:
        """Return the figures: seconds, requests per second, statuses, what was refused, percentiles in milliseconds."""
        found = sorted(self.seconds)
        at = {name: found[min(len(found) - 1, int(len(found) * share))] * 1e3 for name, share in _PERCENTILES.items()}
        answered = {"statuses": dict(self.statuses), "refused": self.refused}
        return {"seconds": took, "rate": len(found) / took, **answered, **at}

    def answered(self, number: int, head: bytes, seconds: float) -> None:
        """Count one answer; one that says "later" and not when is counted as that."""
        status = head[_STATUS].decode()
        if status in _LATER and b"\r\nretry-after: " not in head.lower():
            status += " without Retry-After"
        self.statuses[status] += 1
        self.seconds.append(seconds)
        if not status.startswith("2"):
            self.refused.append(number)


_PERCENTILES = {"p50": 0.5, "p99": 0.99, "worst": 1.0}


class Client(asyncio.Protocol):
    """One connection: sends, reads one answer, sends the next."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._number, self._due = 0, 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def begin(self) -> None:
        """Send the next request when it is due, or end when there is none."""
        assert self._transport is not None
        if not self._load.waiting:
            self.done.set_result(None)
            self._transport.close()
            return
        (self._number, request), self._due = self._load.waiting.popleft(), self._load.due()
        self._load.sent += 1
        early = self._due - time.perf_counter()
        if early > 0:
            asyncio.get_running_loop().call_later(early, self._transport.write, request)
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Go on once an answer is complete."""
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        length = _LENGTH.search(self._received, 0, head) if head >= 0 else None
        if length is None or len(self._received) < head + 4 + int(length[1]):
            return
        self._load.answered(self._number, self._received[: head + 2], time.perf_counter() - self._due)
        self._received = b""
        self.begin()

    def connection_lost(self, error: Exception | None) -> None:
        """Count what is not answered."""
        if not self.done.done():
            self._load.statuses[f"lost: {error}"] += 1
            self._load.refused.append(self._number)
            self.done.set_result(None)


async def main(port: int, connections: int, rate: float | None) -> None:
    """Send all; the clock runs once all connections are open."""
    requests = [text.encode() for text in json.load(sys.stdin)]
    load = Load(requests, rate)
    loop = asyncio.get_running_loop()
    opened = [await loop.create_connection(lambda: Client(load), "127.0.0.1", port) for _ in range(connections)]
    clients = [client for _, client in opened]
    load.began = time.perf_counter()
    for client in clients:
        client.begin()
    await asyncio.gather(*(client.done for client in clients))
    print(json.dumps(load.report(time.perf_counter() - load.began)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else None))
