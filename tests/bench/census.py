"""Counts at the server what a run left: follow-ups by cause, dead letters by event, and what is still to do."""

from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import Error as JetStreamError

from schemas.envelope import from_headers
from schemas.images import ImageAttested
from tests.bench.traffic import WORKER
from workers.bus.topology.streams import DEAD, EVENTS, retry_stream

_FETCH = 500


@dataclass(frozen=True, slots=True)
class Tally:
    """How much is there."""

    follow_ups: int
    dead: int
    left: int
    """Messages that wait, are held by somebody, or are scheduled."""


@dataclass(frozen=True, slots=True)
class Census:
    """Who is there."""

    causes: list[str]
    """Message id of the cause of each follow-up."""
    buried: list[str]
    """Message id of the event in each dead letter."""


async def tally(client: Client, worker: str = WORKER) -> Tally | None:
    """Count for one worker; None while the server does not answer."""
    js = client.jetstream(timeout=2)
    retries = retry_stream(worker)
    try:
        events = await js.stream_info(EVENTS, subjects_filter=ImageAttested.event_type)
        scheduled = await js.stream_info(retries, subjects_filter=f"schedule.{worker}.>")
        left = sum((scheduled.state.subjects or {}).values())
        for stream in (EVENTS, retries):
            consumer = await js.consumer_info(stream, worker)
            left += (consumer.num_pending or 0) + (consumer.num_ack_pending or 0)
        dead = (await js.stream_info(DEAD)).state.messages
    except (nats.errors.Error, JetStreamError):
        return None
    return Tally((events.state.subjects or {}).get(ImageAttested.event_type, 0), dead, left)


async def census(client: Client) -> Census:
    """Read everything."""
    js = client.jetstream()
    follow_ups = [from_headers(headers) for headers in await _headers(js, EVENTS, ImageAttested.event_type)]
    dead = [from_headers(headers) for headers in await _headers(js, DEAD, "dead.>")]
    return Census([envelope.cause or "" for envelope in follow_ups], [envelope.message_id for envelope in dead])


async def _headers(js: JetStreamContext, stream: str, subject: str) -> list[dict[str, str]]:
    info = await js.stream_info(stream, subjects_filter=subject)
    expected = sum((info.state.subjects or {}).values())
    found: list[dict[str, str]] = []
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, headers_only=True)
    subscription = await js.pull_subscribe(subject, stream=stream, config=config)
    while len(found) < expected:
        found += [message.headers or {} for message in await subscription.fetch(_FETCH, timeout=10)]
    await subscription.unsubscribe()
    return found
