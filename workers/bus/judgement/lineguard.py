"""Keeps one process in step with the state of its worker's line, and tries messages while the line is stopped."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from workers.bus.judgement.line import LineState, Tally, claim_probe, read_line, resume_line, stop_line
from workers.bus.transport.connection import Connection
from workers.bus.transport.publisher import Publisher
from workers.failures import SealaneError

log = logging.getLogger(__name__)
_FIRST_PROBE = 5.0
_LAST_PROBE = 300.0


class LineGuard:
    """Watches the line. `pause`, `go` and `try_one` are what the engine does about it."""

    def __init__(
        self,
        worker: str,
        replica: str,
        outgoing: Connection,
        publisher: Publisher,
        *,
        pause: Callable[[], Awaitable[None]],
        go: Callable[[], Awaitable[None]],
        try_one: Callable[[], Awaitable[str | None]],
        interval: float = 1.0,
        first_probe: float = _FIRST_PROBE,
    ) -> None:
        self.stopped: LineState | None = None
        self._worker = worker
        self._replica = replica
        self._outgoing = outgoing
        self._publisher = publisher
        self._pause = pause
        self._go = go
        self._try_one = try_one
        self._interval = interval
        self._first_probe = first_probe
        self._tally = Tally()
        self._stop_wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the state once, then keep watching."""
        await self._look()
        self._task = asyncio.create_task(self._watching(), name="line")

    def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()

    def note(self, outcome: str) -> None:
        """Count an outcome; enough dead letters stop the line."""
        if outcome in {"done", "dead"} and self._tally.note(dead=outcome == "dead") and self.stopped is None:
            self._stop_wanted.set()

    async def _watching(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._stop_wanted.wait(), self._interval)
            except TimeoutError:
                pass
            else:
                self._stop_wanted.clear()
                await self._guarded(self._stop_line)
            await self._guarded(self._look)
            await self._guarded(self._probe)

    async def _guarded(self, action: Callable[[], Awaitable[None]]) -> None:
        try:
            await action()
        except SealaneError as error:
            if self._outgoing.client.is_connected:
                log.warning("the line of %s: %s", self._worker, error)

    async def _stop_line(self) -> None:
        if self.stopped is None:
            reason = self._tally.sentence()
            self._tally.clear()
            log.error("stopping the line of %s: %s", self._worker, reason)
            await stop_line(
                self._outgoing, self._publisher, self._worker, by=self._replica, reason=reason, automatic=True
            )

    async def _look(self) -> None:
        state, _ = await read_line(self._outgoing, self._worker)
        if state.state == "stopped" and self.stopped is None:
            self.stopped = state
            log.error("the line of %s is stopped: %s (by %s)", self._worker, state.reason, state.by)
            await self._pause()
        elif state.state == "running" and self.stopped is not None:
            self.stopped = None
            self._tally.clear()
            log.warning("the line of %s runs again (by %s)", self._worker, state.by)
            await self._go()
        elif self.stopped is not None:
            self.stopped = state

    async def _probe(self) -> None:
        if self.stopped is None or not await claim_probe(
            self._outgoing, self._publisher, self._worker, by=self._replica, interval=self._wait_before_probe
        ):
            return
        outcome = await self._try_one()
        log.info("tried one message on the stopped line of %s: %s", self._worker, outcome or "none there")
        if outcome == "done":
            await resume_line(
                self._outgoing, self._publisher, self._worker, by=f"{self._replica}: one message succeeded"
            )

    def _wait_before_probe(self, probes: int) -> float:
        return min(self._first_probe * float(2 ** min(probes, 10)), _LAST_PROBE)
