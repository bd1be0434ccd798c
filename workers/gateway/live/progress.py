"""`GET /progress/{run}`, `GET /events/{id}`: a run, live, by Server-Sent Events, for whoever may see it.

`Last-Event-ID` or `?after=` say after which sequence of PROGRESS it goes on. Nothing is lost or repeated in between,
whichever replica of the door is asked; a `gap` is told where something may be missing. After `completed` the stream
ends, and who comes back with its id gets 204, which ends a browser's tries.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from schemas.identity import run_id
from workers.bus.doors.fanout import Fanout
from workers.bus.doors.index import Index
from workers.bus.doors.runs import Consumers, Run
from workers.bus.transport.connection import Connection
from workers.failures import SealaneError
from workers.gateway.live.listing import ListDoor
from workers.gateway.live.quota import StreamQuota
from workers.gateway.live.tale import COMPLETED, Place, Tale
from workers.gateway.live.wire import EventStream
from workers.gateway.principals import Principal
from workers.gateway.problems import Problem, away, shown
from workers.gateway.runs import RUN, RunsDoor, unknown
from workers.gateway.tokens import Bearer
from workers.gateway.viewers import BY_TICKET

PLACE_PATTERN = rf"^([0-9]{{1,18}})({COMPLETED})?$"
_PLACE = re.compile(PLACE_PATTERN.strip("^$"))
_FIRST_WORD, _LOOK_AGAIN = 5.0, 1.0
"""Seconds that the first word of a run is waited for, and between questions to the other replicas meanwhile."""


class LiveDoor:
    """Tells runs. `start()` before, `await close()` after, which ends every stream so that it can be resumed."""

    def __init__(
        self,
        connection: Connection,
        runs: RunsDoor,
        caller: Callable[[Request], Awaitable[Bearer]],
        consumers: Consumers,
        quota: StreamQuota,
    ) -> None:
        self._connection = connection
        self.runs = runs
        self._caller = caller
        self._consumers = consumers
        self.fanout = Fanout(connection)
        self.index = Index(connection, self.fanout, consumers)
        self.quota = quota
        """What every stream takes a place of: those over gRPC as well."""
        self.list = ListDoor(self.index, caller, quota)

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
        answer = await self._told(request, str(request.path_params["run"]))
        if BY_TICKET in request.scope:
            # The page may be at any address: whoever shows a ticket was given it, and nothing else counted.
            answer.headers["access-control-allow-origin"] = "*"
        return answer

    async def get_event(self, request: Request) -> Response:
        """Answer GET /events/{id}: the run that an event opened, by the id that whoever brought it gave it.

        With `?source=` of that very event; else of the newest one with this id. A run's own id does as well.
        """
        event_id, source = str(request.path_params["id"]), request.query_params.get("source")
        if source:
            return await self._told(request, run_id(source, event_id))
        return await self._told(request, event_id, is_run=False)

    async def _named(self, principal: Principal, event_id: str) -> str:
        """Return the run that an event opened: of which something was said, or that came in a moment ago."""
        found = self.list.of_event(principal, event_id) or await self.runs.opened_by(principal, event_id)
        if found is None and not RUN.fullmatch(event_id):
            raise unknown("an event with this id")
        return found or event_id

    async def _told(self, request: Request, name: str, *, is_run: bool = True) -> Response:
        try:
            principal = (await self._caller(request)).principal
            with ExitStack() as held:
                held.enter_context(self.quota.place(principal))
                place, run = _place(request), name if is_run else await self._named(principal, name)
                tale = await self.tale(principal, run, place)
                if tale is not None:
                    return EventStream(tale.told(), held.pop_all())
        except Problem as problem:
            return problem.response()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def tale(self, principal: Principal, name: str, place: Place) -> Tale | None:
        """Return what a principal shall be told of a run, None when it has all of it. Raises Problem: 400, 404, 503."""
        try:
            run = await self._seen(principal, name)
        except SealaneError as error:
            raise away(str(error)) from None
        if place.completed and run.complete and run.last_sequence <= place.after:
            return None
        expected = run.roots if not run.last_sequence else ()
        return Tale(self._connection, self.fanout, run.id, self._consumers, place, expected=expected)

    async def _seen(self, principal: Principal, name: str) -> Run:
        """Return the run. What is not to be seen is waited for a moment: who has just brought an event comes at once.

        How long a stranger waits says nothing: it is the same whether there is such a run or not.
        """
        deadline = asyncio.get_running_loop().time() + _FIRST_WORD
        with self.fanout.watch(name) as watch:
            while True:
                watch.caught_up()
                try:
                    return await self.runs.seen(principal, name)
                except Problem as problem:
                    patience = deadline - asyncio.get_running_loop().time()
                    if problem.status != HTTPStatus.NOT_FOUND or patience <= 0 or watch.closed:
                        raise
                await watch.next(min(patience, _LOOK_AGAIN))


def _place(request: Request) -> Place:
    """Return where the follower goes on; the header, which a browser sends by itself, counts before the query."""
    return place_of(request.headers.get("last-event-id") or request.query_params.get("after") or "", "Last-Event-ID")


def place_of(text: str, attribute: str) -> Place:
    """Return the place that an id stands for, the beginning for none. Raises Problem (400) that names the attribute."""
    found = _PLACE.fullmatch(text or "0")
    if found is None:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            f"{shown(text)} is no place to go on from: send the id of the last event that you have, or leave it out",
            attribute=attribute,
        )
    return Place(int(found[1]), completed=found[2] is not None)
