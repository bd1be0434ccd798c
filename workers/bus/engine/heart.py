"""One timer for everything that a process holds: leases on messages, and progress that is due to be heard."""

import asyncio
import logging
import time

import nats.errors

from workers.bus.engine.hold import Hold
from workers.bus.engine.progress import QUIET_SECONDS
from workers.bus.transport.connection import Connection

log = logging.getLogger(__name__)
_BEAT = 0.1
_STUCK = 1.1
"""A handler that did not even obey its cancellation loses its lease a little after its time limit."""


class Heart:
    """Extends the leases of what runs and what waits, three times per `ack_wait`.

    A handler beyond its time limit is cancelled, and loses its lease if it does not obey. One timer for all of them: a
    timeout of its own for each handling would cost more than the rest of a small one.
    """

    def __init__(self, hold: Hold, outgoing: Connection, *, ack_wait: float, time_limit: float) -> None:
        self._hold = hold
        self._outgoing = outgoing
        self._interval = ack_wait / 3
        self._limit = time_limit
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to beat."""
        self._task = asyncio.create_task(self._beating(), name="heartbeats")

    def stop(self) -> None:
        """Stop beating."""
        if self._task is not None:
            self._task.cancel()

    async def _beating(self) -> None:
        due = time.monotonic() + self._interval
        while True:
            await asyncio.sleep(min(_BEAT, self._interval))
            now = time.monotonic()
            self._let_speak(now)
            self._end_the_stuck(now)
            if now >= due:
                due = now + self._interval
                await self._extend(now)

    def _let_speak(self, now: float) -> None:
        for delivery in list(self._hold.running.values()):
            if delivery.progress is not None and now - delivery.progress.began_at > QUIET_SECONDS:
                delivery.progress.speak()
                delivery.progress = None

    def _end_the_stuck(self, now: float) -> None:
        for task, delivery in list(self._hold.running.items()):
            if delivery.started_at is not None and now - delivery.started_at > self._limit and not delivery.expired:
                delivery.expired = True
                task.cancel()

    async def _extend(self, now: float) -> None:
        for delivery in tuple(self._hold):
            if delivery.started_at is not None and now - delivery.started_at > self._limit * _STUCK:
                continue
            if now - delivery.received_at < self._interval / 2:
                continue
            try:
                await delivery.still_working(self._outgoing)
            except nats.errors.Error as error:
                log.warning("a lease was not extended: %s", error)
                return
