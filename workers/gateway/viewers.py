"""Who follows runs: by what it bears, by a session of the console, or by a ticket.

A browser's EventSource can send no header. A page that is not the console's gets a ticket for it: good once, for a
minute, for one run. A ticket is a random text; what it stands for is in the ledger, by its hash, so that it is good
once at all replicas together.
"""

import json
import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schemas.identity import digest_of
from workers.bus.claims.ledger import Ledger
from workers.failures import SealaneError
from workers.gateway.callers import NO_CLAIMS
from workers.gateway.metrics import PRINCIPAL
from workers.gateway.principals import Policy, Principal
from workers.gateway.problems import Problem, away, unauthenticated
from workers.gateway.reading import body_of
from workers.gateway.runs import RunsDoor
from workers.gateway.tokens import Bearer

PATH = "/tickets"
BY_TICKET = "sealane.ticket"
"""Where in an ASGI scope it stands that a ticket was shown, and was good."""
LIFETIME = timedelta(seconds=60)
_TICKET = re.compile(r"slt_[A-Za-z0-9_-]{43}")
_USED = b"used"
_MOST_BYTES = 4096


class Viewed(Protocol):
    """Whoever keeps sessions."""

    async def principal(self, request: Request) -> Principal | None:
        """Return who is signed in, or None."""
        ...


class Viewers:
    """Finds the principal of a request that only reads. `sessions` is set once there is a console."""

    def __init__(self, policy: Policy, ledger: Ledger, bearer: Callable[[Request], Awaitable[Bearer]]) -> None:
        self._principals = {principal.name: principal for principal in policy.principals}
        self._ledger = ledger
        self._bearer = bearer
        self.sessions: Viewed | None = None

    async def caller(self, request: Request) -> Bearer:
        """Return who asks. Raises Problem: 401, 403, 503."""
        if "authorization" in request.headers:
            return await self._bearer(request)
        principal = None
        if self.sessions is not None:
            principal = await self.sessions.principal(request)
        if principal is None and "ticket" in request.query_params:
            principal = await self._by_ticket(request)
        if principal is None:
            return await self._bearer(request)
        request.scope[PRINCIPAL] = principal.name
        return Bearer(principal, NO_CLAIMS)

    async def _by_ticket(self, request: Request) -> Principal:
        """Return whose ticket it is, and use it up. Raises Problem: 401, and 503 when the bus is away."""
        try:
            principal = await self._redeemed(request.query_params["ticket"], request.path_params.get("run"))
        except SealaneError as error:
            raise away(str(error)) from None
        if principal is None:
            sentence = "this ticket was used, is too old, or is for another run: POST /tickets gives a new one"
            raise unauthenticated(sentence)
        request.scope[BY_TICKET] = True
        return principal

    async def _redeemed(self, ticket: str, run: str | None) -> Principal | None:
        if not _TICKET.fullmatch(ticket):
            return None
        key = _key(ticket)
        row = await self._ledger.look(key)
        if row.value is None or row.value == _USED:
            return None
        said = json.loads(row.value)
        # Whoever writes first has it; a ticket that was shown at the wrong place is used up as well.
        is_first = await self._ledger.replace(key, _USED, row.revision, ttl=LIFETIME) is not None
        return self._principals.get(said["principal"]) if is_first and said["run"] == run else None


class TicketsDoor:
    """Hands out tickets to those who may see the run."""

    def __init__(self, ledger: Ledger, runs: RunsDoor, bearer: Callable[[Request], Awaitable[Bearer]]) -> None:
        self._ledger = ledger
        self._runs = runs
        self._bearer = bearer

    async def post(self, request: Request) -> Response:
        """Answer POST /tickets with `{"run": "…"}`."""
        try:
            bearer = await self._bearer(request)
            run = await self._runs.seen(bearer.principal, _run(await body_of(request, _MOST_BYTES)))
            ticket = f"slt_{secrets.token_urlsafe(32)}"
            value = json.dumps({"principal": bearer.principal.name, "run": run.id}).encode()
            await self._ledger.note(_key(ticket), value, ttl=LIFETIME)
        except Problem as problem:
            return problem.response()
        except SealaneError as error:
            return away(str(error)).response()
        answer = {"ticket": ticket, "run": run.id, "expires_in": LIFETIME.total_seconds()}
        return JSONResponse(answer, HTTPStatus.CREATED, {"cache-control": "no-store"})


def _run(body: bytes) -> str:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("run"), str):
        raise Problem(HTTPStatus.BAD_REQUEST, 'send {"run": "…"}, with the `run` of a receipt', field="run")
    return str(said["run"])


def _key(ticket: str) -> str:
    return f"ticket.{digest_of('ticket', ticket)}"
