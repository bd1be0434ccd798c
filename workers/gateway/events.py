"""`POST /events`: who calls, what it brings, whether it may, and only then the bus. 202 means stored (PubAck).

All events of a request are checked before any is stored. Sending the same again gives the same answer. Over gRPC the
same is asked in the same order (`workers.gateway.rpc.publishing`).
"""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schemas.catalogue import CATALOGUE
from schemas.identity import digest_of
from workers.bus.claims.ledger import Ledger
from workers.bus.doors.entrance import Entered, Entry, check, check_size, enter_all
from workers.bus.topology.streams import HEADROOM
from workers.bus.transport.connection import Connection
from workers.bus.transport.publisher import Publisher, Refused
from workers.failures import Invalid, Mismatch, SealaneError, TemporaryError
from workers.gateway.callers import Callers
from workers.gateway.keysets import FetchKeys, KeySets
from workers.gateway.limits import Rates, UsedTokens
from workers.gateway.metrics import PRINCIPAL, DoorMetrics
from workers.gateway.openapi import document
from workers.gateway.principals import Grant, Policy, Principal
from workers.gateway.problems import Problem, away, forbidden, shown
from workers.gateway.reading import BATCH_CONTENT_TYPE, Brought, Delivery, body_of, events_of, header_of, media_type
from workers.gateway.recent import Recent
from workers.gateway.sparing import Sparing
from workers.gateway.tokens import Bearer, Tokens, told
from workers.terminal import safe

log = logging.getLogger(__name__)
AT_ONCE = 128
"""Requests that are worked on at a time: what they hold in memory is bounded so."""
STRANGER = "nobody we know"
MOST_LINES = 60
"""Lines a minute about strangers who were denied: they may come as fast as they like, and bring claims of any kind."""
PATIENCE = 8.0
"""Seconds that a caller waits for the bus before it is asked to come again."""
_NO_STORE = {"cache-control": "no-store"}
_WAIT_SECONDS = 2.0
"""How long a request waits, unread, for others to be done: a burst is worked off instead of being refused."""
_BUSY_SECONDS = 1.0
_DENIALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_WRONG = ("claim", "attribute", "field")
"""The members of a denial that say what was wrong."""


class EventsDoor:
    """Lets events in, through a publisher whose patience is PATIENCE. `ledger` is what all replicas remember."""

    def __init__(
        self,
        connection: Connection,
        publisher: Publisher,
        ledger: Ledger,
        policy: Policy,
        fetch_keys: FetchKeys,
        metrics: DoorMetrics,
    ) -> None:
        self._connection = connection
        self._publisher = publisher
        self._policy = policy
        self._callers = Callers(policy, Tokens(policy, KeySets(fetch_keys)))
        self._rates = Rates(ledger)
        self._used = UsedTokens(ledger)
        self._metrics = metrics
        self.recent = Recent(connection)
        """What was let in here lately."""
        self._places = asyncio.Semaphore(AT_ONCE)
        self._of_strangers = Sparing(log, MOST_LINES)

    async def post(self, request: Request) -> Response:
        """Answer POST /events."""
        try:
            async with self.place():
                bearer = await self.caller(request)
                receipts = await self.bring(bearer, partial(self._read, request))
        except Problem as problem:
            return problem.response()
        answer = receipts if media_type(request) == BATCH_CONTENT_TYPE else receipts[0]
        return Response(to_json(answer), HTTPStatus.ACCEPTED, _NO_STORE, "application/json")

    @property
    def largest(self) -> int:
        """Bytes that a request may hold."""
        return self._connection.client.max_payload - HEADROOM

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold one of the places for requests that are worked on. Raises Problem (503) when there is none for long."""
        if self._places.locked():
            await self._wait_for_place()
        else:
            await self._places.acquire()
        try:
            yield
        finally:
            self._places.release()

    async def _wait_for_place(self) -> None:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            busy = "too much is brought at once: send it again in a moment"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, busy, after=_BUSY_SECONDS) from None

    async def describe(self, request: Request) -> Response:
        """Answer GET /openapi.json: to each principal what it may bring."""
        try:
            bearer = await self.caller(request)
        except Problem as problem:
            return problem.response()
        return JSONResponse(document(bearer.principal), headers=_NO_STORE)

    async def caller(self, request: Request) -> Bearer:
        """Return who calls. Raises Problem; a denial is in the log, with the claims and without the token."""
        bearer = await self.known(", ".join(header_of(request, b"authorization")))
        request.scope[PRINCIPAL] = bearer.principal.name
        return bearer

    async def known(self, authorization: str, certificate: bytes | None = None) -> Bearer:
        """Return who sends this, or else bears a certificate (PEM) that was verified. Raises Problem, as `caller`."""
        try:
            return await self._callers.caller(authorization, certificate)
        except Problem as problem:
            self._tell(problem, STRANGER)
            raise

    async def _read(self, request: Request) -> Delivery:
        media = media_type(request)
        body = await body_of(request, self.largest)
        return Delivery(events_of(media, request.headers.items(), body), batch=media == BATCH_CONTENT_TYPE)

    async def bring(self, bearer: Bearer, read: Callable[[], Awaitable[Delivery]]) -> list[dict[str, str]]:
        """Let in what `read` gives, and return a receipt for each. Raises Problem: then not all of it is stored.

        It is read only when the principal may bring anything just now. Call it within `place`.
        """
        try:
            await self._pay(bearer.principal, 1)
            delivery = await read()
            places = [{"index": index} if delivery.batch else {} for index in range(len(delivery.events))]
            entries = [self._entry(bearer.principal, *one) for one in zip(delivery.events, places, strict=True)]
            await self._bind(bearer, entries)
            if len(entries) > 1:
                await self._pay(bearer.principal, len(entries) - 1, before=1)
        except SealaneError as error:
            # Rates and tokens cannot be told just now, so that nothing is let in.
            log.warning("the ledger does not answer: %s", error)
            raise away(str(error)) from None
        except Problem as problem:
            problem.evidence = told(bearer.claims)
            self._tell(problem, bearer.principal.name)
            raise
        outcomes = await enter_all(self._connection, self._publisher, entries)
        for outcome in outcomes:
            if isinstance(outcome, Entered):
                self._metrics.events[outcome.entry.envelope.type, bearer.principal.name] += 1
                if outcome.is_its_own:
                    self.recent.note(outcome)
        return _receipts(entries, outcomes, batch=delivery.batch)

    async def _pay(self, principal: Principal, count: int, *, before: int = 0) -> None:
        wait = await self._rates.take(principal, count, before=before)
        if wait:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"{principal.name} may bring {principal.rate:g} events a minute: send it again in {math.ceil(wait)} s",
                after=wait,
            )

    def _entry(self, principal: Principal, brought: Brought, place: Mapping[str, Any]) -> Entry:
        """Return what may enter. Raises Problem: 400 for what is wrong, 403 for what this principal may not say."""
        envelope = brought.envelope
        grants = _grants(principal, envelope.type, place)
        if not self._policy.may_say(principal, envelope.source):
            raise forbidden(
                f"{principal.name} may not speak as the source {shown(envelope.source)}", attribute="source", **place
            )
        try:
            found = check(
                envelope.type,
                brought.body,
                source=envelope.source,
                event_id=envelope.id,
                actor=principal.name,
                time=envelope.time,
                traceparent=envelope.traceparent,
                tracestate=envelope.tracestate,
            )
            check_size(self._connection, found)
        except Invalid as error:
            raise Problem(
                HTTPStatus.BAD_REQUEST, str(error), **_wrong_fields(envelope.type, brought.body), **place
            ) from None
        missed = [grant.misses(found.event) for grant in grants]
        if all(missed):
            field, sentence = next(miss for miss in missed if miss)
            raise forbidden(f"{principal.name}: {sentence}", field=field, **place)
        return found

    async def _bind(self, bearer: Bearer, entries: Sequence[Entry]) -> None:
        """Use a token for the events that it was used for first, and for nothing else: so a retry works."""
        token_id = bearer.claims.get("jti")
        if not isinstance(token_id, str):
            return
        use = digest_of("use", *sorted(entry.envelope.message_id for entry in entries))
        token = digest_of("token", str(bearer.claims["iss"]), token_id)
        if not await self._used.bind(token, use, float(bearer.claims["exp"])):
            raise forbidden("this token was used for another event: get one for each request", claim="jti")

    def _tell(self, problem: Problem, who: str) -> None:
        """Log and count a denial: who it was, what was denied, and the claims; never what proved them."""
        if problem.status not in _DENIALS:
            return
        wrong = next((str(problem.members[name]) for name in _WRONG if name in problem.members), "token")
        self._metrics.denials[wrong] += 1
        say = self._of_strangers.warn if who == STRANGER else log.warning
        claims = safe(json.dumps(dict(problem.evidence)))
        say("denied (%d) to %s: %s; claims %s", problem.status, who, safe(problem.detail), claims)


def _grants(principal: Principal, event_type: str, place: Mapping[str, Any]) -> list[Grant]:
    if event_type not in CATALOGUE:
        known = ", ".join(sorted(CATALOGUE))
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            f"there is no event {shown(event_type)}: the types are {known}",
            attribute="type",
            **place,
        )
    grants = [grant for grant in principal.may_publish if grant.type == event_type]
    if not grants:
        allowed = ", ".join(sorted({grant.type for grant in principal.may_publish})) or "nothing"
        raise forbidden(f"{principal.name} may not publish {event_type}: only {allowed}", attribute="type", **place)
    return grants


def _wrong_fields(event_type: str, body: bytes) -> dict[str, Any]:
    """Return which fields are wrong, the first one by itself."""
    try:
        CATALOGUE[event_type].model_validate_json(body)
    except ValidationError as error:
        paths = [".".join(map(str, found["loc"])) for found in error.errors(include_url=False, include_input=False)]
        return {"field": paths[0], "fields": paths}
    return {}


def _receipts(
    entries: Sequence[Entry], outcomes: Sequence[Entered | SealaneError], *, batch: bool
) -> list[dict[str, str]]:
    """Say what became of each; nothing in it differs when the same is sent again. Raises Problem."""
    receipts = [_receipt(entry) for entry in entries]
    failures = [(index, out) for index, out in enumerate(outcomes) if isinstance(out, SealaneError)]
    if not failures:
        return receipts
    # What passes by itself is said first: the batch is sent again as it is, and what is stored stays stored once.
    _, failure = next(((one, out) for one, out in failures if isinstance(out, TemporaryError)), failures[0])
    members: dict[str, Any] = {}
    if batch:
        members["not_stored"] = [{"index": index} | receipts[index] | {"detail": str(out)} for index, out in failures]
    if isinstance(failure, Mismatch):
        raise Problem(HTTPStatus.CONFLICT, str(failure), attribute="id", **members)
    log.warning("an event was not stored: %s", failure)
    if isinstance(failure, Refused):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(failure), **members)
    raise away(str(failure), **members)


def _receipt(entry: Entry) -> dict[str, str]:
    envelope = entry.envelope
    return {"type": envelope.type, "source": envelope.source, "id": envelope.id, "run": envelope.run}
