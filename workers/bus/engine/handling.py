"""One delivery, from reading it to answering it. Nobody else acknowledges.

The order is the promise: follow-ups are stored, then the result, then the input is acknowledged. A kill at any point
means doing it again, and the ids make the repeat harmless.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from schemas.envelope import HOPS_LIMIT, Envelope, EnvelopeError, read
from schemas.events import Event
from schemas.explanations import explain, findings
from schemas.identity import run_id
from workers.bus.engine.current import handled
from workers.bus.engine.followups import FollowUps, Ref
from workers.bus.engine.metrics import Metrics
from workers.bus.engine.progress import BusProgress
from workers.bus.engine.tracing import Tracing
from workers.bus.judgement.deadletters import bury, event_type_of
from workers.bus.judgement.retry import schedule_retry
from workers.bus.judgement.verdict import Failure, judge
from workers.bus.transport import headers as names
from workers.bus.transport.connection import Connection
from workers.bus.transport.delivery import ACK, NAK, TERM, TICK, Delivery
from workers.bus.transport.publisher import PubAck, Publisher
from workers.bus.wiring import Wiring, collect
from workers.failures import NotYet, SealaneError
from workers.ports import Progress

log = logging.getLogger(__name__)
_STORE_AGAIN = b'-NAK {"delay": 5000000000}'
_OF_ONE_MESSAGE = frozenset({Progress, Envelope})


class UnfitError(Exception):
    """The message can never be handed to the worker; `reason` is one of envelope, schema, hops.

    `envelope` is the event's own, if it could be read: whoever follows its run must hear of it.
    """

    def __init__(self, reason: str, message: str, envelope: Envelope | None = None, *, details: str = "") -> None:
        super().__init__(message)
        self.details = details
        self.reason = reason
        self.envelope = envelope


class Handling:
    """Handles deliveries for one worker."""

    def __init__(
        self,
        wiring: Wiring,
        *,
        outgoing: Connection,
        publisher: Publisher,
        ports: Mapping[type, Any],
        metrics: Metrics,
        tracing: Tracing,
        results: bool = True,
    ) -> None:
        self._wiring = wiring
        self._models = {event.event_type: event for event in wiring.consumes}
        self._outgoing = outgoing
        self._publisher = publisher
        self._arguments = {
            one.handler: {name: ports[port] for name, port in one.ports.items() if port not in _OF_ONE_MESSAGE}
            for one in (wiring, wiring.tick)
            if one is not None
        }
        self._follow_ups = FollowUps(wiring.name, publisher, metrics)
        self._tracing = tracing
        self._results = results

    async def handle(self, delivery: Delivery) -> str:
        """Handle and answer; return the outcome: done, retry, waiting or dead. Cancelled, it has not answered."""
        try:
            envelope, event = self._read(delivery)
        except UnfitError as unfit:
            failure = Failure("dead", unfit.reason, type(unfit).__name__, str(unfit), stack=unfit.details)
            return await self._fail(delivery, unfit.envelope or self._anonymous(delivery), failure)
        except NotYet as early:
            failure = self._judge(delivery, early)
            return await self._fail(delivery, self._anonymous(delivery), failure)
        if not self._tracing.enabled:
            return await self._attempt(delivery, envelope, event)
        with self._tracing.handling(envelope, delivery) as traced:
            return await self._attempt(delivery, traced, event)

    async def _attempt(self, delivery: Delivery, envelope: Envelope, event: Event | None) -> str:
        progress = BusProgress(self._publisher, self._wiring.name, delivery, envelope)
        delivery.progress = progress
        handled.set(envelope)
        emitted: list[Ref] = []
        try:
            await self._work(envelope, event, progress, emitted)
            if self._results:
                await progress.result("done", emitted=emitted)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not delivery.expired or task is None:
                raise
            task.uncancel()
            return await self._fail(delivery, envelope, self._judge(delivery, TimeoutError()), progress, emitted)
        except Exception as error:  # noqa: BLE001 - whatever a worker raises is judged, in one place
            return await self._fail(delivery, envelope, self._judge(delivery, error), progress, emitted)
        await delivery.answer(self._outgoing, ACK)
        return "done"

    async def _work(self, envelope: Envelope, event: Event | None, progress: Progress, emitted: list[Ref]) -> None:
        wiring = self._wiring if event is not None else self._wiring.tick or self._wiring
        arguments = self._arguments[wiring.handler].copy()
        for name, port in wiring.ports.items():
            if port is Progress:
                arguments[name] = progress
            elif port is Envelope:
                arguments[name] = envelope
        if wiring.event_parameter is not None:
            arguments[wiring.event_parameter] = event
        events: list[Event] = []
        try:
            await collect(wiring, arguments, events)
        except Exception:
            # What was yielded before a failure is a fact as well; a repeat meets it under the same id.
            emitted += await self._follow_ups.store(envelope, events)
            raise
        emitted += await self._follow_ups.store(envelope, events)

    def _read(self, delivery: Delivery) -> tuple[Envelope, Event | None]:
        message = delivery.message
        if message.subject.startswith(TICK):
            if (message.headers or {}).get(names.SCHEDULER) != f"cron.{self._wiring.name}":
                # The server stores an answer on whatever subject its asker names: no answer may wake a worker.
                raise UnfitError("envelope", "no schedule fired this tick: find out who published it")
            return self._anonymous(delivery), None
        try:
            envelope, body = read(message.headers or {}, message.data)
        except EnvelopeError as error:
            raise UnfitError("envelope", str(error)) from None
        promised = event_type_of(self._wiring.name, message.subject)
        if envelope.type != promised:
            raise UnfitError(
                "envelope", f"ce-type is {envelope.type!r}, but the subject says {promised!r}: send both alike"
            )
        if promised == f"{TICK}{self._wiring.name}":
            return envelope, None
        if envelope.hops > HOPS_LIMIT:
            raise UnfitError(
                "hops", f"{envelope.hops} causes led to this event, more than {HOPS_LIMIT}: a loop of events", envelope
            )
        model = self._models.get(promised)
        if model is None:
            # During a rolling upgrade the durable may already, or still, ask for what only the other version knows.
            raise NotYet(
                f"this version of {self._wiring.name} does not consume {promised!r}: another one may",
                after=timedelta(seconds=10),
            )
        try:
            return envelope, model.model_validate_json(body)
        except ValidationError as error:
            raise UnfitError("schema", explain(model, error), envelope, details=findings(error)) from None

    def _judge(self, delivery: Delivery, error: Exception) -> Failure:
        now = datetime.now(UTC)
        return judge(
            error,
            attempt=delivery.attempt,
            attempts=self._wiring.card.attempts,
            delivered=delivery.delivered,
            first_seen=_first_seen(delivery, now),
            now=now,
        )

    async def _fail(
        self,
        delivery: Delivery,
        envelope: Envelope,
        failure: Failure,
        progress: BusProgress | None = None,
        emitted: Sequence[Ref] = (),
    ) -> str:
        """Do what the verdict says; whatever cannot be stored now leaves the message on the bus."""
        log.log(
            logging.WARNING if failure.action == "dead" else logging.INFO,
            "%s: %s",
            failure.error,
            failure.message,
            extra={"run": envelope.run, "event": envelope.id, "outcome": failure.outcome},
        )
        self._tracing.failed(failure.message)
        progress = progress or BusProgress(self._publisher, self._wiring.name, delivery, envelope)
        now = datetime.now(UTC)
        dead: PubAck | None = None
        try:
            if failure.action == "dead":
                dead = await self._bury(delivery, failure)
            elif failure.action == "schedule":
                await schedule_retry(
                    self._publisher,
                    self._wiring.name,
                    delivery,
                    failure,
                    envelope,
                    first_seen=_first_seen(delivery, now),
                    now=now,
                )
            await progress.result(failure.outcome, emitted=emitted, **_said(failure, envelope, now, dead))
        except SealaneError as error:
            log.warning("the verdict cannot be stored now, the message stays on the bus: %s", error)
            await delivery.answer(self._outgoing, _STORE_AGAIN)
            return "retry"
        await delivery.answer(self._outgoing, _verb(failure))
        return failure.outcome

    async def _bury(self, delivery: Delivery, failure: Failure) -> PubAck:
        message = delivery.message
        return await bury(
            self._publisher,
            worker=self._wiring.name,
            stream=delivery.stream,
            sequence=delivery.sequence,
            event_type=event_type_of(self._wiring.name, message.subject),
            original=message.headers or {},
            body=message.data,
            failure=failure,
            attempts=delivery.attempt,
        )

    def _anonymous(self, delivery: Delivery) -> Envelope:
        """Stand in for an envelope that cannot be read, or that a tick does not have."""
        source, event_id = f"/sealane/streams/{delivery.stream}", str(delivery.sequence)
        subject = event_type_of(self._wiring.name, delivery.message.subject)
        return Envelope(id=event_id, source=source, type=subject, run=run_id(source, event_id))

    async def unjudged(self, delivery: Delivery, error: Exception) -> str:
        """Bury a message over which our own code stumbled, without reading it or saying more than that."""
        log.error("message %s:%d cannot be judged", delivery.stream, delivery.sequence, exc_info=error)
        text = f"sealane itself failed on this message with {type(error).__name__}: report it, then replay the message"
        failure = Failure("dead", "unjudged", type(error).__name__, text)
        await self._bury(delivery, failure)
        await delivery.answer(self._outgoing, _verb(failure))
        return "dead"

    async def crashed(self, delivery: Delivery, runs: int) -> str:
        """Bury a message which ended its process in `runs` lone runs."""
        text = f"the process died {runs} times while it handled this message alone; replay it once the worker is mended"
        try:
            envelope, _ = self._read(delivery)
        except (UnfitError, NotYet):
            envelope = self._anonymous(delivery)
        return await self._fail(delivery, envelope, Failure("dead", "crash", "CrashFuse", text))


def _verb(failure: Failure) -> bytes:
    if failure.action == "dead":
        return (
            TERM + b" " + f"{failure.reason}: {failure.message}".encode("ascii", "replace")[:200].replace(b"\n", b" ")
        )
    if failure.action == "nak":
        return NAK + b' {"delay": %d}' % int(failure.after.total_seconds() * 1_000_000_000)
    return ACK


def _said(failure: Failure, envelope: Envelope, now: datetime, dead: PubAck | None) -> dict[str, Any]:
    said: dict[str, Any] = {"message": failure.message, "error": failure.error}
    if dead is not None:
        identity = {"type": envelope.type, "source": envelope.source, "id": envelope.id}
        return said | {"dead": identity | {"stream": dead.stream, "sequence": dead.sequence}}
    return said | {"retry_at": (now + failure.after).isoformat(timespec="milliseconds")}


def _first_seen(delivery: Delivery, now: datetime) -> datetime:
    text = (delivery.message.headers or {}).get(names.FIRST_SEEN)
    try:
        seen = datetime.fromisoformat(text) if text else now
    except ValueError:
        return now
    return seen if seen.tzinfo is not None else now
