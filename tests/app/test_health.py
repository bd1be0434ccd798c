"""The health pages of a worker process."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from workers.app.health import HealthServer


class Process:
    """A process whose health the tests set."""

    def __init__(self) -> None:
        self.is_live = self.is_ready = True

    async def live(self) -> tuple[bool, dict[str, object]]:
        """Say whether it lives."""
        return self.is_live, {"echo": "live"}

    async def ready(self) -> tuple[bool, dict[str, object]]:
        """Say whether it works."""
        return self.is_ready, {"echo": "ready"}


@pytest.fixture
async def served() -> AsyncIterator[tuple[Process, int]]:
    """Serve the pages of a process on a free port."""
    process = Process()
    server = HealthServer(process.live, process.ready)
    port = await server.start(0)
    yield process, port
    await server.stop()


async def ask(port: int, request: bytes) -> str:
    """Send raw bytes and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer.decode()


async def get(port: int, path: str) -> str:
    """Ask for a page."""
    return await ask(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


async def test_metrics_are_served(served: tuple[Process, int]) -> None:
    """Prometheus finds its text format."""
    answer = await get(served[1], "/metrics")

    assert answer.startswith("HTTP/1.1 200 ")
    assert "# HELP" in answer


async def test_readiness_and_liveness_are_apart(served: tuple[Process, int]) -> None:
    """A process that cannot work now is not ready, and nobody restarts it for that."""
    process, port = served
    process.is_ready = False

    assert (await get(port, "/readyz")).startswith("HTTP/1.1 503 ")
    assert (await get(port, "/livez")).startswith("HTTP/1.1 200 ")
    process.is_live = False
    assert (await get(port, "/livez?verbose")).startswith("HTTP/1.1 503 ")


async def test_other_requests_are_refused_in_words(served: tuple[Process, int]) -> None:
    """Another path, another verb and plain nonsense do no harm."""
    port = served[1]

    assert (await get(port, "/secrets")).startswith("HTTP/1.1 404 ")
    assert (await ask(port, b"POST /livez HTTP/1.1\r\n\r\n")).startswith("HTTP/1.1 405 ")
    assert await ask(port, b"\x00" * 9000) == ""
    assert (await get(port, "/livez")).startswith("HTTP/1.1 200 ")
