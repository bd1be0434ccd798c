"""`GET /runs/{run}`: what became of an event, for whoever brought it; polled by pipelines that wait."""

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workers.bus.doors.history import read_run
from workers.bus.doors.records import run_record
from workers.bus.doors.runs import Consumers, Run
from workers.bus.topology.streams import EVENTS
from workers.bus.transport.connection import Connection
from workers.bus.transport.stored import read_one
from workers.failures import SealaneError
from workers.gateway.principals import Principal
from workers.gateway.problems import Problem, away, shown
from workers.gateway.recent import Recent
from workers.gateway.tokens import Bearer

RUN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SOON = 1.0


class RunsDoor:
    """Shows a run to the principal that brought the event which opened it, and to those who may see more."""

    def __init__(
        self,
        connection: Connection,
        caller: Callable[[Request], Awaitable[Bearer]],
        consumers: Consumers,
        recent: Recent,
    ) -> None:
        self._connection = connection
        self._recent = recent
        self._caller = caller
        self._consumers = consumers

    async def get(self, request: Request) -> Response:
        """Answer GET /runs/{run}."""
        try:
            bearer = await self._caller(request)
            run = await self.seen(bearer.principal, request.path_params["run"])
            return JSONResponse(run_record(run), headers={"cache-control": "no-store"})
        except Problem as problem:
            return problem.response()
        except SealaneError as error:
            return away(str(error)).response()

    async def seen(self, principal: Principal, name: str) -> Run:
        """Return a run that a principal may see. Raises Problem: 400, 404; and Unavailable."""
        if not RUN.fullmatch(name):
            raise Problem(HTTPStatus.BAD_REQUEST, f"{shown(name)} is not the id of a run: send the `run` of a receipt")
        run = await read_run(self._connection, name, self._consumers)
        if not run.roots and (opened := await self._recent.opened(principal.name, run=name)):
            run.expect(opened.event)
        await self.require(principal, run)
        return run

    async def opened_by(self, principal: Principal, event_id: str) -> str | None:
        """Return the run that an event of this principal opened lately, None when no door remembers one."""
        opened = await self._recent.opened(principal.name, event_id=event_id)
        return opened.run if opened else None

    async def require(self, principal: Principal, run: Run) -> None:
        """Raise Problem (404) when a principal may not see a run, or nothing is heard of it; Unavailable."""
        if not (shows(principal, run) or await self._brought(principal, run)):
            raise unknown(f"a run {run.id}")

    async def _brought(self, principal: Principal, run: Run) -> bool:
        """Whether the event which opened a run is stored with this principal as its actor."""
        for root in run.roots:
            if root.stream != EVENTS or root.sequence is None:
                continue
            stored = await read_one(self._connection, EVENTS, root.sequence)
            if stored is not None and unquote(stored.headers.get("ce-actor", "")) == principal.name:
                return True
        return False


def shows(principal: Principal, run: Run) -> bool:
    """Whether the policy lets a principal see a run, whoever opened it."""
    roots = run.roots
    return bool(roots) and any(sight.shows(roots[0].type, roots[0].subject) for sight in principal.may_see)


def unknown(what: str) -> Problem:
    """Return the answer about what is not there, the same for what is somebody else's: that is nobody's business."""
    sentence = f"nothing is heard of {what} of yours yet, or not any more: ask again, or look at its receipt"
    return Problem(HTTPStatus.NOT_FOUND, sentence, after=_SOON)
