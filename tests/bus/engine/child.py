"""A worker in a process of its own, to be killed: `python -m tests.bus.engine.child NAME URL`."""

import asyncio
import logging
import os
import signal
import sys
from datetime import timedelta

from schemas.echoes import EchoAnswered, EchoRequested
from tests.bus.lane import worker
from workers.bus.engine.engine import Engine, EngineOptions
from workers.bus.transport.connection import connect
from workers.bus.wiring import Wiring

CULPRIT = "the culprit"


async def fragile(event: EchoRequested) -> EchoAnswered:
    """Answer, unless it is the message that kills the process."""
    await asyncio.sleep(0.005)
    if event.message == CULPRIT:
        os.kill(os.getpid(), signal.SIGKILL)
    return EchoAnswered(message=event.message)


async def steady(event: EchoRequested) -> EchoAnswered:
    """Answer after a while."""
    await asyncio.sleep(0.05)
    return EchoAnswered(message=event.message)


def wirings() -> dict[str, Wiring]:
    """Return the workers that this process can be."""
    return {
        "fragile": worker(fragile, ack_wait=timedelta(seconds=2), concurrency=256),
        "steady": worker(steady, ack_wait=timedelta(seconds=30), concurrency=8),
    }


async def main(name: str, url: str) -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    engine = Engine(
        wirings()[name],
        lambda: connect(url, identity=f"worker-{name}"),
        lambda _connection, _publisher: {},
        EngineOptions(grace=10, prefetch=512, heartbeat=0.5),
    )
    await engine.run(stop)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(*sys.argv[1:]))
