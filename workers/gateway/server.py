"""The door over HTTP: /livez and /readyz for everybody; all else for principals, and for what GitHub signed."""

import asyncio
import contextlib
import math
import socket
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from workers.bus.claims.ledger import Ledger
from workers.bus.doors.steady import steadily
from workers.bus.rooms import consumers_of
from workers.bus.transport.connection import Connection
from workers.bus.transport.publisher import Publisher
from workers.gateway.console.kit import ConsoleKit
from workers.gateway.events import PATIENCE, EventsDoor
from workers.gateway.health import Readiness
from workers.gateway.keysets import FetchKeys, KeySets
from workers.gateway.live.progress import LiveDoor
from workers.gateway.live.quota import StreamQuota
from workers.gateway.metrics import DoorMetrics, Measured
from workers.gateway.patience import Patience
from workers.gateway.principals import Policy
from workers.gateway.problems import elsewhere
from workers.gateway.protocol import BoundedProtocol, Unread
from workers.gateway.runs import RunsDoor
from workers.gateway.tokens import Tokens
from workers.gateway.viewers import PATH as TICKETS_PATH
from workers.gateway.viewers import TicketsDoor, Viewers
from workers.gateway.webhooks.github import PATH as GITHUB_PATH
from workers.gateway.webhooks.github import GithubDoor
from workers.gateway.webhooks.keyring import Keyring

if TYPE_CHECKING:
    from workers.gateway.console.console import Console

_NO_STORE = {"cache-control": "no-store"}
_UNHEARD_MILLISECONDS = 30_000
"""How long a client's TCP may leave unacknowledged what was sent to it (tcp(7), TCP_USER_TIMEOUT)."""


class _AnyText(PathConvertor):
    """What an event's id may be: it may hold slashes, and is not empty."""

    regex = ".+"


register_url_convertor("any", _AnyText())


def application(
    connection: Connection,
    events: EventsDoor,
    github: GithubDoor,
    live: LiveDoor,
    metrics: DoorMetrics,
    more: Iterable[Route] = (),
) -> ASGIApp:
    """Return the routes of the door, over one bus connection under the identity `gateway`, and more besides."""
    readiness = Readiness(connection)

    async def livez(_: Request) -> Response:
        # A server that is away is no reason to restart the door; a read loop that ended in silence is.
        alive = not connection.client.is_connected or await connection.alive() is not None
        return JSONResponse({"live": alive}, 200 if alive else 503, _NO_STORE)

    async def readyz(_: Request) -> Response:
        ready = await readiness.ready()
        return JSONResponse({"ready": ready}, 200 if ready else 503, _NO_STORE)

    # In the order in which they are tried: what is asked for most comes first.
    routes = [Route("/events", events.post, methods=["POST"]), Route("/openapi.json", events.describe)]
    routes += [Route("/livez", livez), Route("/readyz", readyz)]
    routes += [Route("/runs", live.list.get), Route("/runs/{run}", live.runs.get), Route("/progress/{run}", live.get)]
    routes += [Route("/events/{id:any}", live.get_event, methods=["GET"])]
    routes += [Route(GITHUB_PATH, github.post, methods=["POST"]), *more]
    everything = Starlette(routes=routes, exception_handlers={HTTPException: elsewhere})
    # It would send a caller, with its token, to the plain http of the host that the request named.
    everything.router.redirect_slashes = False

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        # Where most requests go, the router and what it wraps around cost a tenth of a request.
        if scope["type"] == "http" and scope["path"] == "/events" and scope["method"] == "POST":
            answer = await events.post(Request(scope, receive))
            await answer(scope, receive, send)
        else:
            await everything(scope, receive, send)

    return Measured(dispatch, metrics, [route.path for route in routes])


class _Server(uvicorn.Server):
    """Leaves the signals to the process it is part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Door:
    """The HTTP server in this event loop. `policy` says who may publish what: nobody when it is empty.

    `github`: the secrets of GitHub's webhook; without them none is taken. `console`: what pages for people need;
    without it there are none. `grace`: the seconds that requests which are under way have at the end.
    """

    def __init__(
        self,
        connection: Connection,
        policy: Policy,
        fetch_keys: FetchKeys,
        *,
        github: Keyring | None = None,
        console: ConsoleKit | None = None,
        grace: float = PATIENCE + 1,
    ) -> None:
        self.metrics = DoorMetrics()
        """What it counts; whoever serves metrics registers it."""
        self._publisher = Publisher(connection, timeout=PATIENCE)
        self._ledger = Ledger(connection, self._publisher)
        self.events = EventsDoor(connection, self._publisher, self._ledger, policy, fetch_keys, self.metrics)
        """The way in, which the door over gRPC shares, and below it what is told of runs."""
        webhook = GithubDoor(connection, self._publisher, self._ledger, github or Keyring.empty(), self.metrics)
        viewers = Viewers(policy, self._ledger, self.events.caller)
        runs = RunsDoor(connection, viewers.caller, consumers_of, self.events.recent)
        self.live = LiveDoor(connection, runs, viewers.caller, consumers_of, StreamQuota(self.metrics))
        more = [Route(TICKETS_PATH, TicketsDoor(self._ledger, runs, self.events.caller).post, methods=["POST"])]
        tokens = Tokens(policy, KeySets(fetch_keys))
        self._console = _console(console, connection, policy, self._ledger, runs, self.live, tokens)
        if self._console is not None:
            viewers.sessions = self._console
            more += self._console.routes
        config = uvicorn.Config(
            application(connection, self.events, webhook, self.live, self.metrics, more),
            http=cast("type[asyncio.Protocol]", partial(BoundedProtocol, unread=Unread(self.metrics))),
            ws="none",
            proxy_headers=False,
            server_header=False,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=math.ceil(grace),
        )
        self._server = _Server(config)
        self._patience = Patience(self._server.server_state.connections, self.metrics)
        self._watching: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def stopping(self) -> bool:
        """Whether it takes no new request any more."""
        return self._server.should_exit

    async def start(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen and return the port. Raises OSError when it is taken."""
        listening = socket.create_server((host, port))
        # asyncio does this only for sockets that it made itself; else a body waits for the ACK of its head, 40 ms.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            # Whoever goes dark is missed when a heartbeat stays unanswered, not after TCP's quarter of an hour.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNHEARD_MILLISECONDS)
        listening.setblocking(False)
        await self._publisher.start()
        await self.events.recent.start()
        self.live.start()
        if self._console is not None:
            await self._console.start()
        self._watching = asyncio.create_task(
            steadily(self._patience.watch, "looking for slow clients"), name="slow clients"
        )
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
            await self.live.close()
            if self._console is not None:
                await self._console.close()
            await self._serving
            self._serving = None
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
            await self.events.recent.close()
            await self._publisher.close()


def _console(kit: ConsoleKit | None, *parts: Any) -> "Console | None":
    """Return the pages for people, whose templates are loaded only where there are some."""
    if kit is None:
        return None
    from workers.gateway.console.console import Console  # noqa: PLC0415 - as said

    return Console(kit, *parts)
