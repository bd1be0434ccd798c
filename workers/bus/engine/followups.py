"""Stores what a worker emits, under ids which repeat when the work repeats."""

import asyncio
from collections.abc import Sequence
from typing import Any

from schemas.envelope import Envelope
from schemas.events import Event
from schemas.identity import follow_up_id
from workers.bus.engine.metrics import Metrics
from workers.bus.transport.publisher import Publisher

Ref = dict[str, Any]
"""A reference to a stored event, as `schemas.progress.EventRef` describes it."""


class FollowUps:
    """The follow-up events of one worker."""

    def __init__(self, worker: str, publisher: Publisher, metrics: Metrics) -> None:
        self._worker = worker
        self._source = f"/sealane/{worker}"
        self._publisher = publisher
        self._metrics = metrics

    async def store(self, cause: Envelope, events: Sequence[Event]) -> list[Ref]:
        """Store events because of `cause`, and say where. Raises what the publisher raises."""
        if not events:
            return []
        cause_id = cause.message_id
        envelopes = [self._envelope(cause, cause_id, event) for event in events]
        if len(events) == 1:
            return [await self._publish(envelopes[0], events[0])]
        if len({envelope.id for envelope in envelopes}) < len(envelopes):
            raise RuntimeError(f"{self._worker} emitted two events with one natural key: one of them would be lost")
        return list(await asyncio.gather(*map(self._publish, envelopes, events)))

    def _envelope(self, cause: Envelope, cause_id: str, event: Event) -> Envelope:
        return Envelope(
            id=follow_up_id(self._worker, cause_id, event.event_type, event.natural_key()),
            source=self._source,
            type=event.event_type,
            run=cause.run,
            subject=event.about(),
            cause=cause_id,
            parentrun=cause.parentrun,
            hops=cause.hops + 1,
            actor=cause.actor,
            traceparent=cause.traceparent,
            tracestate=cause.tracestate,
        )

    async def _publish(self, envelope: Envelope, event: Event) -> Ref:
        ack = await self._publisher.publish(
            envelope.type,
            event.__pydantic_serializer__.to_json(event),
            envelope.headers(),
            message_id=envelope.message_id,
        )
        if ack.duplicate:
            self._metrics.repeats += 1
        else:
            self._metrics.emitted += 1
        return {
            "type": envelope.type,
            "source": envelope.source,
            "id": envelope.id,
            "subject": envelope.subject,
            "stream": ack.stream,
            "sequence": ack.sequence,
        }
