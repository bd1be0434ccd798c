"""The port Progress on the bus: cheap for what is quick, live for what takes longer.

Steps and lines are kept back until the handling has taken a quarter of a second; then they are published as they
come. Either way the result carries the steps, so that quick work needs one message only.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic_core import to_json

from schemas.envelope import Envelope, now
from workers.bus.transport.delivery import Delivery
from workers.bus.transport.publisher import Publisher
from workers.failures import SealaneError
from workers.redaction import redact

log = logging.getLogger(__name__)
QUIET_SECONDS = 0.25
_LINE_LIMIT = 4096
_KEPT_LINES = 200
_MOST_EMITTED = 1000
"""Events that one message names: about 400 bytes each, of the 1 MiB that a message may have."""


class BusProgress:
    """What one handling of one event says. `speak()` ends the quiet time."""

    def __init__(self, publisher: Publisher, worker: str, delivery: Delivery, envelope: Envelope) -> None:
        self._publisher = publisher
        self._worker = worker
        self._envelope = envelope
        self._delivery = delivery
        self._n = 0
        self._loud = False
        self._kept: list[dict[str, Any]] = []
        self._steps: list[dict[str, Any]] = []
        self._sending: set[asyncio.Task[None]] = set()
        self.began_at = time.monotonic()

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """See workers.ports.Progress."""
        step: dict[str, Any] = {"name": name, "state": "began", "seconds": None}
        self._steps.append(step)
        self._say({"kind": "step", "step": name, "state": "began"})
        started = time.monotonic()
        try:
            yield
        except BaseException:
            self._end(step, "failed", started)
            raise
        self._end(step, "done", started)

    def log(self, message: str) -> None:
        """See workers.ports.Progress."""
        self._say({"kind": "log", "message": redact(message)[:_LINE_LIMIT]})

    def speak(self) -> None:
        """Publish what was kept back, and everything from now on at once."""
        if not self._loud:
            self._loud = True
            kept, self._kept = self._kept, []
            self._send(self._message({"kind": "started", "n": 0}))
            for message in kept:
                self._send(message)

    async def result(self, outcome: str, **more: Any) -> None:
        """Store the result; returns once it is stored. Raises Unavailable.

        Where thousands of events were emitted, all but the last of them are named in lines before it: a message has
        its limit, and whoever follows the run puts them together.
        """
        emitted = more.get("emitted", ())
        while len(emitted) > _MOST_EMITTED:
            part, emitted = emitted[:_MOST_EMITTED], emitted[_MOST_EMITTED:]
            text = f"{len(part)} events emitted, {len(emitted)} to be named"
            await self._store(self._message({"kind": "log", "message": text, "emitted": part}))
            more["emitted"] = emitted
        message = self._message({"kind": "result", "outcome": outcome})
        message["seconds"] = round(time.monotonic() - self.began_at, 6)
        if self._steps:
            message["steps"] = self._steps
        if self._kept:
            message["logs"] = [kept["message"] for kept in self._kept if kept["kind"] == "log"]
        message.update(more)
        if self._sending:
            await asyncio.wait(self._sending)
        await self._store(message)

    def _end(self, step: dict[str, Any], state: str, started: float) -> None:
        step["state"], step["seconds"] = state, round(time.monotonic() - started, 6)
        self._say({"kind": "step", "step": step["name"], "state": state, "seconds": step["seconds"]})

    def _say(self, what: dict[str, Any]) -> None:
        if self._loud:
            self._send(self._message(what))
        elif len(self._kept) < _KEPT_LINES:
            self._kept.append(self._message(what))

    def _message(self, what: dict[str, Any]) -> dict[str, Any]:
        envelope, delivery = self._envelope, self._delivery
        self._n += 1
        message = {
            "worker": self._worker,
            "run": envelope.run,
            "event": {
                "type": envelope.type,
                "source": envelope.source,
                "id": envelope.id,
                "subject": envelope.subject,
                "stream": delivery.stream,
                "sequence": delivery.sequence,
            },
            "attempt": delivery.attempt,
            "n": self._n,
            "at": now(),
        }
        if envelope.actor is not None:
            message["actor"] = envelope.actor
        message.update(what)
        return message

    def _send(self, message: dict[str, Any]) -> None:
        task = asyncio.create_task(self._publish(message))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _publish(self, message: dict[str, Any]) -> None:
        try:
            await self._store(message)
        except SealaneError as error:
            # A step that nobody hears must not fail the work; the result is stored or the work is repeated.
            log.warning("progress of run %s was not stored: %s", self._envelope.run, error)

    async def _store(self, message: dict[str, Any]) -> None:
        envelope, delivery = self._envelope, self._delivery
        await self._publisher.publish(
            f"progress.{self._worker}.{envelope.run}",
            to_json(message),
            {"traceparent": envelope.traceparent} if envelope.traceparent else None,
            message_id=f"{envelope.message_id}:{self._worker}:{delivery.sequence}:{delivery.delivered}:{message['n']}",
        )
