"""A worker to be killed: `python -m tests.bench.sides.fragile URL CALLS`; writes a line to CALLS for each call.

An event's label `fate` says what becomes of it: `transient` fails the first time that a process meets it, `poison`
always and for good, anything else is attested.
"""

import asyncio
import logging
import os
import signal
import sys

from schemas.images import ImageAttested, ImagePushed
from tests.bench.chaos_settings import GRACE, HEARTBEAT, WORK_SECONDS, chaotic
from tests.bench.traffic import WORKER, attested
from workers.bus.engine.engine import Engine, EngineOptions
from workers.bus.transport.connection import connect
from workers.bus.wiring import Handler
from workers.failures import PermanentError, Unavailable


def fragile(calls: int) -> Handler:
    """Return the handler; `calls` is the file that survives us."""
    met: set[str] = set()

    async def handle(event: ImagePushed) -> ImageAttested:
        os.write(calls, event.image.encode() + b"\n")
        await asyncio.sleep(WORK_SECONDS)
        fate = event.labels["fate"]
        if fate == "poison":
            raise PermanentError("this image cannot be attested, ever")
        if fate == "transient" and event.image not in met:
            met.add(event.image)
            raise Unavailable("the registry is away for a moment")
        return attested(event)

    return handle


async def main(url: str, calls: str) -> None:
    """Work until SIGTERM, or until killed."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    file = os.open(calls, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    engine = Engine(
        chaotic(fragile(file)),
        lambda: connect(url, identity=f"worker-{WORKER}", first_wait=30),
        lambda _connection, _publisher: {},
        EngineOptions(grace=GRACE, heartbeat=HEARTBEAT),
    )
    await engine.run(stop)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(*sys.argv[1:]))
