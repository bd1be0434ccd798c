"""What tests of the engine wait for, and how they disturb it."""

import socket
import subprocess
import sys

from nats.aio.client import Client

from schemas.echoes import EchoAnswered, EchoRequested
from tests.bus.lane import Lane
from tests.commands.forking import Forked
from workers.bus.engine.engine import Engine
from workers.ports import Progress


async def answer(event: EchoRequested, progress: Progress) -> EchoAnswered:
    """Answer at once."""
    progress.log("answering")
    return EchoAnswered(message=event.message)


async def is_done(lane: Lane, consumer: str) -> bool:
    """Whether everything was delivered and answered."""
    return await lane.pending("EVENTS", consumer) == (0, 0)


async def has(lane: Lane, *outcomes: str) -> bool:
    """Whether there are results with all these outcomes."""
    return {result["outcome"] for result in await lane.results()} >= set(outcomes)


async def said(lane: Lane, event_id: str, at_least: int) -> bool:
    """Whether PROGRESS holds this much about an event."""
    return sum(body["event"]["id"] == event_id for body in await lane.bodies("PROGRESS")) >= at_least


def spawn(name: str, url: str) -> Forked:
    """Start a worker in a process of its own."""
    return Forked([sys.executable, "-m", "tests.bus.engine.child", name, url], stderr=subprocess.DEVNULL)


async def publish_raw(url: str, subject: str, block: bytes, body: bytes) -> None:
    """Publish with a header block that no client would write."""
    host, port = url.removeprefix("nats://").split(":")
    with socket.create_connection((host, int(port))) as wire:
        size = b"%d %d" % (len(block), len(block) + len(body))
        wire.sendall(b'CONNECT {"verbose":false,"headers":true}\r\nHPUB ' + subject.encode() + b" " + size + b"\r\n")
        wire.sendall(block + body + b"\r\nPING\r\n")
        wire.settimeout(5)
        received = b""
        while b"PONG" not in received:
            received += wire.recv(4096)


async def waits(lane: Lane, consumer: str) -> bool:
    """Whether one event waits, undelivered."""
    return await lane.pending("EVENTS", consumer) == (1, 0)


async def answered(lane: Lane, at_least: int) -> bool:
    """Whether so many answers are stored."""
    subjects = await lane.connection.client.jetstream().stream_info("EVENTS", subjects_filter="echo.answered")
    return (subjects.state.subjects or {}).get("echo.answered", 0) >= at_least


async def retried(lane: Lane) -> bool:
    """Whether something was retried."""
    return bool(await lane.results(outcome="retry"))


async def ready(engine: Engine) -> bool:
    """Whether the engine says that it is ready."""
    return (await engine.health()).ready


async def not_ready(engine: Engine, name: str) -> bool:
    """Whether the engine says that it is not ready, naming this."""
    health = await engine.health()
    return not health.ready and any(name in reason for reason in health.reasons)


def reconnects(client: Client) -> int:
    """Return how often a client tried to reconnect."""
    return max(server.reconnects for server in client._server_pool)
