"""Carries what feeds deliver to the bus: take, say what it means, store that, and only then acknowledge.

A message is acknowledged to its feed after JetStream's PubAck for what it means, or for its dead letter; the ids are
derived from subscription and message id, so that another delivery is absorbed. There is no result on PROGRESS for each
message: nobody waits for one, and it would double the cost. While the bus is away a message is kept, its lease renewed
by the feed; it goes back only when this process drains or its line stops. Messages are stored in the order in which
they come, unless one of them has to be tried again.

The bus absorbs another delivery as long as it remembers the id (`Retention.duplicate_window`). What was stored just
before its feed went away for longer, its acknowledgement lost, comes again as a second message of the same event: at
most what one process holds of a subscription. To note every id for as long as Pub/Sub keeps a message would double the
writes for that one case; whoever consumes an event meets its own claim or natural key then, as at a replay.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import ValidationError

from schemas.envelope import Envelope, is_traceparent
from schemas.events import Event
from schemas.feeds import PubSubContent, PubSubMessage, feed_source
from schemas.identity import run_id
from workers.bus.engine.current import handled
from workers.bus.engine.finishing import finish
from workers.bus.engine.followups import FollowUps
from workers.bus.engine.metrics import Metrics
from workers.bus.engine.tracing import Tracing
from workers.bus.judgement.deadletters import bury
from workers.bus.judgement.verdict import judge
from workers.bus.topology.streams import HEADROOM
from workers.bus.transport.publisher import Publisher
from workers.bus.wiring import Wiring, collect
from workers.failures import Invalid, NotYet, TemporaryError
from workers.ports import Feed, FeedMessage, Feeds

log = logging.getLogger(__name__)
_TRACEPARENT = "googclient_traceparent"
"""The attribute in which Google's publishers send the trace context."""
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 15.0
_KEPT = 64 * 1024
"""Bytes of a body that a dead letter keeps when it would not fit."""


class Source:
    """The feeds of one worker. At most `card.concurrency` messages are carried at once, the feeds bound the rest."""

    def __init__(
        self,
        wiring: Wiring,
        feeds: Feeds,
        publisher: Publisher,
        ports: Mapping[type, Any],
        metrics: Metrics,
        tracing: Tracing,
        ended: Callable[[str], None],
    ) -> None:
        """Take what the worker needs; `ended` hears how each message ended: done or dead."""
        self.feeds = feeds
        self.running = False
        self.single = False
        """Carry one message only: the line is being tried."""
        self._wiring = wiring
        self._publisher = publisher
        self._metrics = metrics
        self._tracing = tracing
        self._ended = ended
        self._arguments = {name: ports[port] for name, port in wiring.ports.items()}
        self._follow_ups = FollowUps(wiring.name, publisher, metrics)
        self._waiting: deque[tuple[Feed, FeedMessage]] = deque()
        self._carrying: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._carrying)

    def problems(self) -> list[str]:
        """Say of each feed that does not deliver why."""
        if not self.feeds:
            return ["no subscription is listed, so nothing is carried: set SEALANE_FEEDS"]
        return [f"{feed.subscription}: {feed.problem}" for feed in self.feeds if feed.problem is not None]

    async def start(self) -> None:
        """Let the feeds deliver."""
        if not self.running:
            self.running = True
            for feed in self.feeds:
                await feed.start(partial(self._take, feed))

    async def stop(self) -> None:
        """Take no more, and hand back what was not begun; what was begun is finished."""
        if self.running:
            self.running = False
            await asyncio.gather(*(feed.stop() for feed in self.feeds))
        while self._waiting:
            _, message = self._waiting.popleft()
            message.nack()

    async def close(self, grace: float) -> None:
        """After the stop, give what was begun `grace` seconds, hand back the rest, send the last acknowledgements."""
        await finish(self._carrying, grace)
        await asyncio.gather(*(feed.close() for feed in self.feeds))

    def _take(self, feed: Feed, message: FeedMessage) -> None:
        if not self.running:
            message.nack()
            return
        self._waiting.append((feed, message))
        if len(self._carrying) < (1 if self.single else self._wiring.card.concurrency):
            task = asyncio.get_running_loop().create_task(self._carry_what_waits())
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)

    async def _carry_what_waits(self) -> None:
        """Carry one after the other in one task: a task for each message costs more than the message."""
        while self._waiting:
            feed, message = self._waiting.popleft()
            try:
                outcome = await self._carry(feed, message)
            except asyncio.CancelledError:
                message.nack()
                raise
            message.ack()
            self._metrics.fed[feed.subscription, outcome] += 1
            self._ended("dead" if outcome == "dead" else "done")
            if self.single:
                return

    async def _carry(self, feed: Feed, message: FeedMessage) -> str:
        """Store what a message means, however long the bus is away; return carried, ignored or dead."""
        source = feed_source(feed.subscription)
        envelope = Envelope(
            id=message.message_id,
            source=source,
            type=PubSubMessage.event_type,
            run=run_id(source, message.message_id),
            subject=feed.subscription,
            actor=f"pubsub/{feed.subscription}",
        )
        traceparent = message.attributes.get(_TRACEPARENT)
        if traceparent is not None and is_traceparent(traceparent):
            envelope.traceparent = traceparent
        handled.set(envelope)
        if not self._tracing.enabled:
            return await self._persist(envelope, feed, message)
        with self._tracing.carrying(envelope, feed.subscription) as traced:
            return await self._persist(traced, feed, message)

    async def _persist(self, envelope: Envelope, feed: Feed, message: FeedMessage) -> str:
        wait = _FIRST_WAIT
        while True:
            try:
                return await self._attempt(envelope, feed, message)
            except Exception as error:  # noqa: BLE001 - not even its verdict could be stored: nothing may be lost
                # Once for each message: the bus may be away for long.
                level = logging.WARNING if wait == _FIRST_WAIT else logging.DEBUG
                log.log(level, "message %s of %s is kept: %s", message.message_id, feed.subscription, error)
            await asyncio.sleep(wait * random.uniform(1.0, 1.2))  # noqa: S311 - jitter needs no secrecy
            wait = min(2 * wait, _LONGEST_WAIT)

    async def _attempt(self, envelope: Envelope, feed: Feed, message: FeedMessage) -> str:
        events: list[Event] = []
        try:
            received = _received(feed.subscription, message)
            await collect(self._wiring, {str(self._wiring.event_parameter): received, **self._arguments}, events)
            await self._follow_ups.store(envelope, events)
        except (TemporaryError, NotYet):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a worker raises is judged, in one place
            await self._bury(envelope, feed, message, error)
            return "dead"
        return "carried" if events else "ignored"

    async def _bury(self, envelope: Envelope, feed: Feed, message: FeedMessage, error: Exception) -> None:
        """Store the whole message as a dead letter, attributes and all. Raises what the publisher raises."""
        attempt = message.attempt or 1
        now = message.published_at
        failure = judge(error, attempt=attempt, attempts=attempt, delivered=attempt, first_seen=now, now=now)
        log.warning("%s: %s", failure.error, failure.message, extra={"run": envelope.run, "event": envelope.id})
        self._tracing.failed(failure.message)
        body = _json(feed.subscription, message, message.data)
        if len(body) > self._publisher.max_payload - HEADROOM:
            body = _json(feed.subscription, message, message.data[:_KEPT])
            text = f"{failure.message} (of its body of {len(message.data)} bytes the first {_KEPT} are kept)"
            failure = replace(failure, message=text)
        await bury(
            self._publisher,
            worker=self._wiring.name,
            stream=feed.subscription,
            sequence=0,
            event_type=envelope.type,
            original=envelope.headers(),
            body=body,
            failure=failure,
            attempts=attempt,
        )


def _content(message: FeedMessage, data: bytes) -> dict[str, Any]:
    return {
        "data": data,
        "attributes": dict(message.attributes),
        "message_id": message.message_id,
        "publish_time": message.published_at,
        "ordering_key": message.ordering_key,
    }


def _received(subscription: str, message: FeedMessage) -> PubSubMessage:
    try:
        content = PubSubContent(**_content(message, message.data))
        return PubSubMessage(subscription=subscription, message=content)
    except ValidationError as error:
        raise Invalid(f"the message is not as Pub/Sub documents it: {error.errors(include_input=False)}") from None


def _json(subscription: str, message: FeedMessage, data: bytes) -> bytes:
    content = PubSubContent.model_construct(**_content(message, data))
    return PubSubMessage.model_construct(subscription=subscription, message=content).model_dump_json().encode()
