"""The engine: carries messages between the streams and one worker, and keeps the promises of the bus.

Two connections: messages come in over one and everything goes out over the other, so that a message which cannot be
read ends only the reading, while handlers in flight still store, extend and acknowledge.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import nats.errors

from workers.bus.engine.finishing import finish
from workers.bus.engine.handling import Handling
from workers.bus.engine.health import Health, examine
from workers.bus.engine.heart import Heart
from workers.bus.engine.hold import Hold
from workers.bus.engine.metrics import Metrics
from workers.bus.engine.options import EngineOptions
from workers.bus.engine.pull import Pull
from workers.bus.engine.source import Source
from workers.bus.engine.tracing import Tracing
from workers.bus.judgement.line import LONE_DEATHS, begin_lone_run, end_lone_run
from workers.bus.judgement.lineguard import LineGuard
from workers.bus.judgement.rescue import bury_what_cannot_be_read
from workers.bus.topology.streams import consumers
from workers.bus.transport.connection import Connection
from workers.bus.transport.delivery import NAK, Delivery
from workers.bus.transport.publisher import Publisher
from workers.bus.wiring import Wiring
from workers.failures import SealaneError
from workers.ports import Feeds

__all__ = ["Engine", "EngineOptions"]
log = logging.getLogger(__name__)
Connect = Callable[[], Awaitable[Connection]]
_HANDED_BACK = NAK
_LIVENESS_INTERVAL = 2.0


class Engine:
    """Runs one worker in this process: `await run(stop)` until `stop` is set, then drains."""

    def __init__(
        self,
        wiring: Wiring,
        connect: Connect,
        ports: Callable[[Connection, Publisher], Mapping[type, Any]],
        options: EngineOptions | None = None,
        feeds: Feeds | None = None,
    ) -> None:
        """Take what runs one worker; `feeds` are those of a worker that consumes what comes from outside the bus."""
        self.wiring = wiring
        self.options = options or EngineOptions()
        self.metrics = Metrics(wiring.name)
        self._connect = connect
        self._ports = ports
        self._feeds = feeds or Feeds()
        card = wiring.card
        prefetch = self.options.prefetch or max(16, 2 * card.concurrency)
        self.hold = Hold(self._run, concurrency=card.concurrency, prefetch=prefetch)
        self.pulls: list[Pull] = []
        self.source: Source | None = None
        self.draining = False
        self.outgoing: Connection
        self.incoming: Connection
        self.publisher: Publisher
        self.line: LineGuard
        self._heart: Heart
        self._handling: Handling
        self._outcomes: asyncio.Queue[str] = asyncio.Queue()
        self._ended = 0
        self._unread = False

    @property
    def consumers(self) -> list[tuple[str, str]]:
        """The (stream, durable) pairs that this worker pulls from."""
        return [(consumer.stream, consumer.name) for consumer in consumers(self.wiring)]

    async def run(self, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
        """Work until `stop`, then hand back what was not started, finish what was, and close.

        Raises what `connect` raises when the bus cannot be reached at the start.
        """
        await self._open()
        watchdog = asyncio.create_task(self._watching(), name="liveness")
        try:
            await self.line.start()
            if self.line.stopped is None:
                await self._start_pulls()
            if ready is not None:
                ready.set()
            await stop.wait()
        finally:
            watchdog.cancel()
            await self._drain()

    async def health(self) -> Health:
        """Say whether this worker lives and works here, and if not, why."""
        return await examine(self)

    async def _open(self) -> None:
        self.outgoing = await self._connect()
        self.incoming = await self._connect()
        self.publisher = Publisher(self.outgoing)
        await self.publisher.start()
        card = self.wiring.card
        self._heart = Heart(
            self.hold,
            self.outgoing,
            ack_wait=card.ack_wait.total_seconds(),
            time_limit=card.time_limit.total_seconds(),
        )
        self._heart.start()
        ports = self._ports(self.outgoing, self.publisher)
        tracing = Tracing(self.wiring.name, enabled=self.options.tracing)
        self._handling = Handling(
            self.wiring,
            outgoing=self.outgoing,
            publisher=self.publisher,
            ports=ports,
            metrics=self.metrics,
            tracing=tracing,
            results=self.options.progress,
        )
        if self.wiring.fed is not None:
            self.source = Source(self.wiring, self._feeds, self.publisher, ports, self.metrics, tracing, self._note)
        self.line = LineGuard(
            self.wiring.name,
            self.options.replica,
            self.outgoing,
            self.publisher,
            pause=self._pause,
            go=self._start_pulls,
            try_one=self._try_one,
            first_probe=self.options.first_probe,
        )

    # ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _run(self, delivery: Delivery, alone: bool) -> None:  # noqa: FBT001 - Hold's contract
        delivery.started_at = time.monotonic()
        try:
            outcome = await (self._run_alone(delivery) if alone else self._handling.handle(delivery))
        except asyncio.CancelledError:
            await self._hand_back([delivery])
            raise
        except (SealaneError, nats.errors.Error) as error:
            # Not even the verdict could be stored: no answer, so that the server delivers it again.
            log.warning("message %s:%d stays on the bus: %s", delivery.stream, delivery.sequence, error)
            return
        if outcome == "retry":
            self.hold.judged(delivery)
        self.metrics.ended(outcome, time.monotonic() - delivery.started_at)
        self._note(outcome)
        self._ended += 1
        if self._ended >= self.hold.worthwhile():
            self._ended = 0
            for pull in self.pulls:
                await pull.ask()

    def _note(self, outcome: str) -> None:
        self.line.note(outcome)
        if self.hold.single:
            self._outcomes.put_nowait(outcome)

    async def _run_alone(self, delivery: Delivery) -> str:
        """Run a suspect: the lone run is counted before it begins, and only the death of the process leaves it so."""
        message = f"{delivery.stream}:{delivery.sequence}"
        name = self.wiring.name
        deaths = await begin_lone_run(self.outgoing, self.publisher, name, message)
        try:
            if deaths >= LONE_DEATHS:
                return await self._handling.crashed(delivery, deaths)
            log.warning("message %s was delivered %d times: it runs alone", message, delivery.delivered)
            return await self._handling.handle(delivery)
        except (SealaneError, nats.errors.Error):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours must not keep a message on the bus for ever
            return await self._handling.unjudged(delivery, error)
        finally:
            await end_lone_run(self.outgoing, self.publisher, name, message)

    async def _hand_back(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            try:
                await delivery.answer(self.outgoing, _HANDED_BACK)
            except nats.errors.Error as error:
                log.warning("%d messages are not handed back, their leases run out instead: %s", len(deliveries), error)
                return
            self.metrics.handled["back"] += 1

    # ── pulling ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _start_pulls(self) -> None:
        if self.draining or self.pulls or self._unread:
            return
        self.pulls = [
            Pull(
                self.incoming,
                stream,
                consumer,
                room=self.hold.room,
                least=self.hold.worthwhile,
                deliver=self.hold.take,
                heartbeat=self.options.heartbeat,
            )
            for stream, consumer in self.consumers
        ]
        for pull in self.pulls:
            await pull.start()
        if self.source is not None:
            self.source.single = self.hold.single
            await self.source.start()

    async def _stop_pulls(self) -> None:
        pulls, self.pulls = self.pulls, []
        await asyncio.gather(*(pull.stop() for pull in pulls))
        if self.source is not None:
            await self.source.stop()

    async def _pause(self) -> None:
        """Stop pulling and hand back what was not started; what runs goes on."""
        await self._stop_pulls()
        await self._hand_back(self.hold.release())

    async def _try_one(self) -> str | None:
        """Handle one message on a stopped line, and return how it ended; None when there was none."""
        self.hold.single = True
        self._outcomes = asyncio.Queue()
        try:
            await self._start_pulls()
            return await asyncio.wait_for(self._outcomes.get(), self.wiring.card.ack_wait.total_seconds())
        except TimeoutError:
            return None
        finally:
            await self._pause()
            self.hold.single = False

    # ── life and death ────────────────────────────────────────────────────────────────────────────────────────────

    async def _watching(self) -> None:
        """Notice a connection whose read loop has ended though it looks connected: a message could not be read."""
        silent = 0
        while True:
            await asyncio.sleep(_LIVENESS_INTERVAL)
            self.metrics.held = len(self.hold) + len(self.source or ())
            self.metrics.stopped = self.line.stopped is not None
            alive = await self.incoming.alive() is not None or not self.incoming.client.is_connected
            silent = 0 if alive else silent + 1
            try:
                if silent >= 2:  # noqa: PLR2004 - one slow answer is no death
                    silent = 0
                    await self._replace_incoming()
                if self._unread:
                    await self._bury_unread()
            except (SealaneError, nats.errors.Error, TimeoutError) as error:
                log.warning("what cannot be read is not buried yet: %s", error)

    async def _replace_incoming(self) -> None:
        log.error("the incoming connection of %s no longer reads: replacing it", self.wiring.name)
        old, self.incoming = self.incoming, await self._connect()
        self._unread = True
        pulls, self.pulls = self.pulls, []
        for pull in pulls:
            pull.abandon()
        await old.client.close()

    async def _bury_unread(self) -> None:
        """Bury what ended the read loop, and only then pull again: it would come first, and end the next one."""
        for stream, consumer in self.consumers:
            await bury_what_cannot_be_read(
                self.outgoing, self.publisher, worker=self.wiring.name, stream=stream, consumer=consumer
            )
        self._unread = False
        if self.line.stopped is None:
            await self._start_pulls()

    async def _drain(self) -> None:
        """Stop pulling, hand back what was not started, give the rest its grace, hand back what is left, close."""
        self.draining = True
        self.line.stop()
        await self._stop_pulls()
        await self._hand_back(self.hold.close())
        ending = [finish(self.hold.running, self.options.grace)]
        ending += [self.source.close(self.options.grace)] if self.source is not None else []
        await asyncio.gather(*ending)
        self._heart.stop()
        await self.publisher.close()
        await self.incoming.close()
        await self.outgoing.close()
