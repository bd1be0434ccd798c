"""`POST /webhooks/github`: what GitHub signed is stored as one event (PubAck) and noted for 90 days, then answered.

Stored first and noted after: whatever ends in between, the same body again stores nothing twice and is noted then.
"""

import asyncio
import logging
import re
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schemas.envelope import Envelope, now
from schemas.events import Event
from schemas.identity import run_id
from workers.bus.claims.ledger import Ledger
from workers.bus.topology.streams import HEADROOM
from workers.bus.transport.connection import Connection
from workers.bus.transport.publisher import Publisher, Refused
from workers.failures import Invalid, SealaneError, Unavailable
from workers.gateway.metrics import PRINCIPAL, DoorMetrics
from workers.gateway.problems import Problem, away
from workers.gateway.reading import discard
from workers.gateway.sparing import Sparing
from workers.gateway.webhooks.arrival import SMALL, Arrivals
from workers.gateway.webhooks.facts import Ignored, Pong, actor_of, fact_of, source_of
from workers.gateway.webhooks.keyring import Keyring
from workers.gateway.webhooks.signature import HEADER, Seal, signature_of, unsigned

log = logging.getLogger(__name__)
PATH = "/webhooks/github"
KEPT = timedelta(days=90)
"""How long a signed body is known."""
AT_ONCE = 128
"""Deliveries that are worked on at a time."""
MOST_LINES = 60
"""Lines a minute about deliveries that were refused: anybody may send some."""
BUS_SECONDS, DISCONNECTED_SECONDS = 3.0, 1.0
"""How long the bus may take to store an event, and how long when we know that it is away: GitHub waits ten seconds."""
_ENVELOPE_ROOM = 8 * 1024
"""Bytes of a message that are not the event's JSON."""
_NO_STORE = {"cache-control": "no-store"}
_DELIVERY = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A signed body. `id` and `event` are GitHub's headers: not signed, and the id is for tracing only."""

    body_hash: str
    event: str
    id: str | None

    @property
    def key(self) -> str:
        """Under which the ledger knows it."""
        return f"delivery.{self.body_hash}"


class GithubDoor:
    """Takes deliveries. `publisher` is started and closed by its owner, `ledger` is what all replicas remember."""

    def __init__(
        self, connection: Connection, publisher: Publisher, ledger: Ledger, keyring: Keyring, metrics: DoorMetrics
    ) -> None:
        self._connection = connection
        self._publisher = publisher
        self._ledger = ledger
        self._keyring = keyring
        self._metrics = metrics
        self._arrivals = Arrivals()
        self._large = asyncio.Lock()
        self._working = 0
        self._refused = Sparing(log, MOST_LINES)

    async def post(self, request: Request) -> Response:
        """Answer POST /webhooks/github."""
        if self._working >= AT_ONCE:
            return away("too many deliveries arrive at once: deliver it again").response()
        self._working += 1
        try:
            return await self._take(request)
        except Problem as problem:
            if problem.status == HTTPStatus.UNAUTHORIZED:
                self._metrics.denials["signature"] += 1
            self._refused.warn("delivery %s: %d, %s", _delivery_id(request) or "-", problem.status, problem.detail)
            return problem.response()
        finally:
            self._working -= 1

    async def _take(self, request: Request) -> Response:
        try:
            signature, secrets = await self._admit(request)
        except Problem:
            await discard(request)
            raise
        seal = Seal(secrets)
        async with self._arrivals.body(request, seal.update) as body:
            if not seal.fits(signature):
                await self._prove_again(body, signature, secrets)
            request.scope[PRINCIPAL] = "github"
            delivery = _Delivery(seal.body_hash, request.headers.get("x-github-event", ""), _delivery_id(request))
            found = await self._read(request, delivery, body)
        if isinstance(found, Pong):
            return _answer(HTTPStatus.OK, "pong", detail="the webhook works")
        if isinstance(found, Ignored):
            return _answer(HTTPStatus.ACCEPTED, "ignored", detail=str(found))
        return await self._store(delivery, found)

    async def _admit(self, request: Request) -> tuple[bytes, tuple[bytes, ...]]:
        """Return the signature and the secrets, before any of the body is read. Raises Problem."""
        if not self._keyring:
            raise Problem(HTTPStatus.NOT_FOUND, "no webhook is taken here: name its secrets in SEALANE_GITHUB")
        signature = signature_of(request.headers.getlist(HEADER))
        try:
            return signature, await self._keyring.secrets()
        except Unavailable as error:
            raise away(str(error)) from None

    async def _prove_again(self, body: bytearray, signature: bytes, tried: tuple[bytes, ...]) -> None:
        """Raise Problem (401) unless a secret that was named just now made the signature."""
        try:
            fresh = [secret for secret in await self._keyring.read_again() if secret not in tried]
        except Unavailable as error:
            raise away(str(error)) from None
        seal = Seal(fresh)
        if fresh:
            # hashlib lets go of the interpreter while it works on something large.
            await asyncio.to_thread(seal.update, body)
        if not seal.fits(signature):
            raise unsigned("no secret of ours made this signature: compare the webhook's secret with SEALANE_GITHUB")

    async def _read(self, request: Request, delivery: _Delivery, body: bytearray) -> Event | Pong | Ignored:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":
            sentence = "the body is not JSON: set the webhook's content type to application/json"
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, sentence, headers={"accept": "application/json"})
        room = self._connection.client.max_payload - HEADROOM - _ENVELOPE_ROOM
        if len(body) <= SMALL:
            return fact_of(delivery.event, body, delivery=delivery.id, room=room)
        async with self._large:
            return await asyncio.to_thread(fact_of, delivery.event, body, delivery=delivery.id, room=room)

    async def _store(self, delivery: _Delivery, fact: Event) -> Response:
        source = source_of(fact)
        envelope = Envelope(
            id=delivery.body_hash,
            source=source,
            type=fact.event_type,
            run=run_id(source, delivery.body_hash),
            subject=fact.about(),
            actor=actor_of(fact),
        )
        receipt = {name: getattr(envelope, name) for name in ("type", "source", "id", "run")}
        patience = BUS_SECONDS if self._connection.client.is_connected else DISCONNECTED_SECONDS
        try:
            async with asyncio.timeout(patience):
                known = await self._ledger.read(delivery.key)
                if known is None:
                    known = await self._publish(delivery, fact, envelope, receipt)
        except TimeoutError:
            raise away("the bus does not answer: deliver it again") from None
        except (Refused, Invalid) as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
        except SealaneError as error:
            raise away(str(error)) from None
        if known is not None:
            return _known(delivery, from_json(known), receipt)
        self._metrics.events[fact.event_type, "github"] += 1
        log.info("delivery %s: %s, run %s", delivery.id or "-", fact.event_type, envelope.run)
        return _answer(HTTPStatus.ACCEPTED, "accepted", **receipt)

    async def _publish(
        self, delivery: _Delivery, fact: Event, envelope: Envelope, receipt: dict[str, str]
    ) -> bytes | None:
        """Store the event and note the body; return what is noted of it when the event was there already."""
        note = to_json({"run": receipt["run"], "delivery": delivery.id, "at": now()})
        ack = await self._publisher.publish(
            envelope.type,
            fact.model_dump_json().encode(),
            envelope.headers(),
            message_id=envelope.message_id,
            timeout=BUS_SECONDS,
        )
        noted = await self._ledger.note(delivery.key, note, ttl=KEPT)
        return (noted or note) if ack.duplicate else None


def _known(delivery: _Delivery, noted: dict[str, Any], receipt: dict[str, str]) -> Response:
    """Say that a body was taken before. The same delivery again is what an operator, or our own worker, asked for."""
    again = "the same delivery" if noted["delivery"] == delivery.id else "the same body in another delivery"
    log.info("delivery %s: %s was taken at %s, run %s", delivery.id or "-", again, noted["at"], noted["run"])
    first = receipt | {"run": noted["run"]}
    return _answer(HTTPStatus.OK, "known", detail=f"{again} was taken at {noted['at']}", **first)


def _delivery_id(request: Request) -> str | None:
    """Return X-GitHub-Delivery where it looks like one: anything else is nobody's business."""
    given = request.headers.get("x-github-delivery", "")
    return given if _DELIVERY.fullmatch(given) else None


def _answer(status: HTTPStatus, outcome: str, **members: str) -> Response:
    return JSONResponse({"outcome": outcome} | members, status, _NO_STORE)
