"""`GET /progress/{run}`: a run, live, by Server-Sent Events, for whoever may see it.

`Last-Event-ID` or `?after=` say after which sequence of PROGRESS it goes on. Nothing is lost or repeated in between,
whichever replica of the door is asked; a `gap` is told where something may be missing. After `completed` the stream
ends, and who comes back with its id gets 204, which ends a browser's tries.
"""

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from workers.bus.doors.fanout import Fanout, said_of
from workers.bus.doors.index import Index
from workers.bus.doors.runs import Consumers
from workers.bus.transport.connection import Connection
from workers.failures import SealaneError
from workers.gateway.live.listing import ListDoor
from workers.gateway.live.tale import COMPLETED, Place, Tale
from workers.gateway.live.wire import EventStream
from workers.gateway.problems import Problem, shown
from workers.gateway.runs import RUN, RunsDoor
from workers.gateway.tokens import Bearer

PLACE_PATTERN = rf"^([0-9]{{1,18}})({COMPLETED})?$"
_PLACE = re.compile(PLACE_PATTERN.strip("^$"))
_AWAY_SECONDS = 5.0
_FIRST_WORD = 5.0
"""Seconds."""


class LiveDoor:
    """Tells runs. `start()` before, `await close()` after, which ends every stream so that it can be resumed."""

    def __init__(
        self,
        connection: Connection,
        runs: RunsDoor,
        caller: Callable[[Request], Awaitable[Bearer]],
        consumers: Consumers,
    ) -> None:
        self._connection = connection
        self.runs = runs
        self._caller = caller
        self._consumers = consumers
        self.fanout = Fanout(connection)
        self.index = Index(connection, self.fanout, consumers)
        self.list = ListDoor(self.index, caller)

    def start(self) -> None:
        """Begin to follow PROGRESS."""
        self.fanout.start()
        self.index.start()

    async def close(self) -> None:
        """End every stream: the follower goes on elsewhere, with the last id that it has."""
        await self.fanout.close()
        await self.index.close()

    async def get(self, request: Request) -> Response:
        """Answer GET /progress/{run}."""
        try:
            bearer = await self._caller(request)
            place = _place(request)
            name = request.path_params["run"]
            if RUN.fullmatch(name):
                await self._heard(name)
            run = await self.runs.seen(bearer.principal, name)
        except Problem as problem:
            return problem.response()
        except SealaneError as error:
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), after=_AWAY_SECONDS).response()
        if place.completed and run.complete and run.last_sequence <= place.after:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return EventStream(Tale(self._connection, self.fanout, run.id, self._consumers, place).told())

    async def _heard(self, name: str) -> None:
        """Wait a moment for the first word about a run: whoever has just brought an event comes at once."""
        with self.fanout.watch(name) as watch:
            async for _ in said_of(self._connection, name):
                return
            await watch.next(_FIRST_WORD)


def _place(request: Request) -> Place:
    """Return where the follower goes on; the header, which a browser sends by itself, counts before the query."""
    text = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    found = _PLACE.fullmatch(text)
    if found is None:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            f"{shown(text)} is no place to go on from: send the id of the last event that you have, or leave it out",
            attribute="Last-Event-ID",
        )
    return Place(int(found[1]), completed=found[2] is not None)
