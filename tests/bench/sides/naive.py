"""Runs followed the naive way: sse-starlette, and one ordered consumer of JetStream a client.

`python -m tests.bench.sides.naive NATS_URL FOLDER`: prints its port, serves until SIGTERM.
"""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from workers.bus.topology.identities import read_seed
from workers.bus.transport.connection import connect


class _Server(uvicorn.Server):
    """Opens its socket itself, as `uvicorn` on the command line does, and says its port."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(json.dumps({"port": self.servers[0].sockets[0].getsockname()[1]}), flush=True)


async def main(url: str, folder: Path) -> None:
    """Serve."""
    connection = await connect(url, identity="tester", seed=read_seed(folder, "tester"), first_wait=30)
    js = connection.client.jetstream()

    async def progress(request: Request) -> EventSourceResponse:
        run = request.path_params["run"]

        async def told() -> AsyncIterator[ServerSentEvent]:
            subscription = await js.subscribe(f"progress.*.{run}", stream="PROGRESS", ordered_consumer=True)
            try:
                async for message in subscription.messages:
                    yield ServerSentEvent(
                        message.data.decode(), event="progress", id=str(message.metadata.sequence.stream)
                    )
            finally:
                await subscription.unsubscribe()

        return EventSourceResponse(told())

    application = Starlette(routes=[Route("/progress/{run}", progress)])
    config = uvicorn.Config(application, port=0, access_log=False, log_config=None, lifespan="off", backlog=4096)
    await _Server(config).serve()
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
