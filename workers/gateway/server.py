"""The door over HTTP: /livez, /readyz, and the health page at / for everybody; /events and /runs for principals."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from workers.bus.rooms import consumers_of
from workers.bus.transport.connection import Connection
from workers.gateway.events import EventsDoor
from workers.gateway.health import examine
from workers.gateway.keysets import FetchKeys
from workers.gateway.page import render
from workers.gateway.principals import Policy
from workers.gateway.protocol import BoundedProtocol
from workers.gateway.runs import RunsDoor

_NO_STORE = {"cache-control": "no-store"}


def application(connection: Connection, events: EventsDoor) -> Starlette:
    """Return the routes of the door, over one bus connection under the identity `gateway`."""

    async def livez(_: Request) -> Response:
        # A server that is away is no reason to restart the door; a read loop that ended in silence is.
        alive = not connection.client.is_connected or await connection.alive() is not None
        return JSONResponse({"live": alive}, 200 if alive else 503, _NO_STORE)

    async def readyz(_: Request) -> Response:
        health = await examine(connection)
        return JSONResponse(health.as_json(), 200 if health.ready else 503, _NO_STORE)

    async def page(_: Request) -> Response:
        return HTMLResponse(render(await examine(connection)), headers=_NO_STORE)

    routes = [Route("/livez", livez), Route("/readyz", readyz), Route("/", page)]
    routes += [Route("/events", events.post, methods=["POST"]), Route("/openapi.json", events.describe)]
    routes += [Route("/runs/{run}", RunsDoor(connection, events.caller, consumers_of).get)]
    return Starlette(routes=routes)


class _Server(uvicorn.Server):
    """Leaves the signals to the process it is part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Door:
    """The HTTP server in this event loop. `policy` says who may publish what: nobody when it is empty."""

    def __init__(self, connection: Connection, policy: Policy, fetch_keys: FetchKeys) -> None:
        self._events = EventsDoor(connection, policy, fetch_keys)
        config = uvicorn.Config(
            application(connection, self._events),
            http=BoundedProtocol,
            ws="none",
            proxy_headers=False,
            server_header=False,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen and return the port. Raises OSError when it is taken."""
        listening = socket.create_server((host, port))
        listening.setblocking(False)
        await self._events.start()
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]), name="door")
        while not self._server.started:
            if self._serving.done():
                await self._serving
            await asyncio.sleep(0.01)
        return int(listening.getsockname()[1])

    async def stop(self) -> None:
        """Answer what is asked, then close; stopped already is fine."""
        if self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._serving = None
            await self._events.close()
