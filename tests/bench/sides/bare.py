"""A bare uvicorn route that only does js.publish: no authentication, no validation, no identity.

`python -m tests.bench.sides.bare NATS_URL FOLDER`: prints its port, serves until SIGTERM.
"""

import asyncio
import json
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from schemas.images import ImagePushed
from workers.bus.topology.identities import read_seed
from workers.bus.transport.connection import connect


class _Server(uvicorn.Server):
    """Opens its socket itself, as `uvicorn` on the command line does, and says its port."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(json.dumps({"port": self.servers[0].sockets[0].getsockname()[1]}), flush=True)


async def main(url: str, folder: Path) -> None:
    """Serve."""
    connection = await connect(url, identity="gateway", seed=read_seed(folder, "gateway"), first_wait=30)
    js = connection.client.jetstream()

    async def publish(request: Request) -> Response:
        ack = await js.publish(ImagePushed.event_type, await request.body())
        return JSONResponse({"stream": ack.stream, "sequence": ack.seq}, 202)

    application = Starlette(routes=[Route("/events", publish, methods=["POST"])])
    server = _Server(uvicorn.Config(application, port=0, access_log=False, log_config=None, lifespan="off"))
    await server.serve()
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
