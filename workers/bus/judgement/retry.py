"""Longer waits are a schedule: the server fires a copy of the event later, so that waiting holds no place.

Source: nats-server ADR-51 (message schedules). The fired copy starts at delivery 1, so attempts travel in a header; the
server strips `Nats-Msg-Id` from it, so identity stays in the `ce-` headers.
"""

from datetime import datetime

from schemas.envelope import Envelope
from workers.bus.judgement.deadletters import copy_id, event_type_of
from workers.bus.judgement.verdict import Failure
from workers.bus.transport import headers as names
from workers.bus.transport.delivery import TICK, Delivery
from workers.bus.transport.publisher import Publisher

_KEPT = ("ce-", "traceparent", "tracestate", "content-type")


async def schedule_retry(
    publisher: Publisher,
    worker: str,
    delivery: Delivery,
    failure: Failure,
    envelope: Envelope,
    *,
    first_seen: datetime,
    now: datetime,
) -> None:
    """Store the schedule of a retry; repeated for the same delivery it is a duplicate.

    A tick has no attributes of its own, so that of its first handling travel with it: its run stays one.
    """
    message = delivery.message
    key = copy_id("retry", worker, delivery.stream, delivery.sequence, message.headers or {})
    used = delivery.attempt if failure.counts else delivery.attempt - 1
    at = (now + failure.after).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    headers = {name: value for name, value in (message.headers or {}).items() if name.lower().startswith(_KEPT)}
    if message.subject.startswith(TICK):
        headers |= envelope.headers()
    headers |= {
        names.ATTEMPTS: str(used),
        names.FIRST_SEEN: first_seen.isoformat(timespec="milliseconds"),
        names.ORIGIN_STREAM: delivery.stream,
        names.ORIGIN_SEQUENCE: str(delivery.sequence),
        names.SCHEDULE: f"@at {at}",
        names.SCHEDULE_TARGET: f"retry.{worker}.{event_type_of(worker, message.subject)}",
        names.TTL: "never",
    }
    await publisher.publish(f"schedule.{worker}.{key}", message.data, headers, message_id=key)
