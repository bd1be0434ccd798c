"""The page about workers: whether each is there, what waits for it, how fast it is; its line stopped and resumed."""

import logging
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workers.bus.judgement.line import read_line, resume_line, stop_line
from workers.bus.transport.connection import Connection
from workers.bus.transport.publisher import Publisher
from workers.gateway.console.attention import Attention, sees_all
from workers.gateway.console.forms import act_of, require_act
from workers.gateway.console.pace import Pace
from workers.gateway.console.rendering import HEADERS, page
from workers.gateway.console.sessions import Address, Session
from workers.gateway.problems import Problem, forbidden
from workers.terminal import safe

log = logging.getLogger(__name__)
_PAGE = "/console/workers"
_LONGEST_REASON = 500


class WorkerPages:
    """Shows the workers, and stops and resumes their lines as the `operator`."""

    def __init__(
        self, operator: Connection, publisher: Publisher, attention: Attention, pace: Pace, address: Address
    ) -> None:
        self._operator = operator
        self._publisher = publisher
        self._attention = attention
        self._pace = pace
        self._address = address

    async def list(self, _: Request, session: Session) -> Response:
        """Answer GET /console/workers."""
        _require_sight(session)
        health = await self._attention.health()
        rates = {worker.name: self._pace.per_minute(worker.name) for worker in health.workers}
        bars = {worker.name: self._pace.bars(worker.name) for worker in health.workers}
        return page(
            "workers.html",
            session,
            here="workers",
            health=health,
            stopped=self._attention.stopped,
            rates=rates,
            bars=bars,
        )

    async def ask(self, request: Request, session: Session) -> Response:
        """Answer GET /console/workers/{worker}/{act}: ask before it is done."""
        _require_sight(session)
        require_act(session)
        name, act = self._named(request)
        line, _ = await read_line(self._operator, name)
        return page("line.html", session, here="workers", worker=name, act=act, line=line)

    async def act(self, request: Request, session: Session) -> Response:
        """Answer POST /console/workers/{worker}/{act}."""
        _require_sight(session)
        fields = await act_of(request, session, self._address)
        name, act = self._named(request)
        by = session.principal.name
        if act == "resume":
            await resume_line(self._operator, self._publisher, name, by=by)
        else:
            reason = fields.get("reason", "").strip()[:_LONGEST_REASON] or "stopped by hand"
            await stop_line(self._operator, self._publisher, name, by=by, reason=reason)
        log.info("%s: the line of %s: %s", safe(by), name, act)
        self._attention.look_again()
        return RedirectResponse(f"{_PAGE}#{name}", HTTPStatus.SEE_OTHER, HEADERS)

    def _named(self, request: Request) -> tuple[str, str]:
        name, act = request.path_params["worker"], request.path_params["act"]
        if name not in self._attention.workers:
            raise Problem(
                HTTPStatus.NOT_FOUND, f"there is no such worker: there are {', '.join(self._attention.workers)}"
            )
        if act not in {"stop", "resume"}:
            raise Problem(HTTPStatus.NOT_FOUND, "a line is stopped or resumed, nothing else")
        return name, act


def _require_sight(session: Session) -> None:
    if not sees_all(session.principal):
        who = session.principal.name
        raise forbidden(
            f"you ({who}) do not see all runs, and how the workers are says something of all of them:"
            " ask for `may_see` in SEALANE_PRINCIPALS"
        )
