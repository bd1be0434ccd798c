"""Runs workers in this process until it is told to stop, then drains."""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workers.app.clouds import Clouds
from workers.app.connecting import open_bus
from workers.app.health import HealthServer
from workers.app.logs import configure_logs, worker_name
from workers.app.stopping import StoppedEarly, stop_on_signals, unless_stopped
from workers.app.telemetry import set_up_tracing
from workers.app.waiting import wait_for_bus, wait_for_world
from workers.bus.claims.claims import NatsClaims
from workers.bus.claims.rates import NatsRates
from workers.bus.engine.collector import settle
from workers.bus.engine.engine import Engine, EngineOptions
from workers.bus.rooms import wiring as wiring_of
from workers.bus.topology.permissions import identity_of
from workers.bus.transport.connection import Connection
from workers.bus.transport.publisher import Publisher
from workers.bus.wiring import Wiring
from workers.failures import Unavailable
from workers.ports import Claims, Feeds, Rates
from workers.settings import Settings

log = logging.getLogger(__name__)


async def run_workers(names: Sequence[str], data: Path | None) -> None:
    """Run these workers until SIGTERM or SIGINT. Raises SealaneError when one cannot begin."""
    configure_logs(Settings().log_level)
    stop = stop_on_signals()
    wirings = [wiring_of(name) for name in dict.fromkeys(names)]
    try:
        settings = await unless_stopped(stop, wait_for_world(data))
        for wiring in wirings:
            await unless_stopped(stop, wait_for_bus(settings, wiring))
    except StoppedEarly:
        return
    async with Clouds(settings) as clouds:
        engines = [await _engine(wiring, settings, clouds) for wiring in wirings]
        settle()
        await _work(engines, settings, stop, clouds)
    log.info("stopped: %s", ", ".join(wiring.name for wiring in wirings))


async def _engine(wiring: Wiring, settings: Settings, clouds: Clouds) -> Engine:
    """Build the engine of one worker, with its adapters and with what the bus gives it."""
    options = EngineOptions(grace=settings.grace.total_seconds(), tracing=settings.otlp_endpoint is not None)
    adapters = await clouds.ports_for(wiring)

    def ports(connection: Connection, publisher: Publisher) -> Mapping[type, Any]:
        claims = NatsClaims(
            connection,
            publisher,
            wiring.name,
            lease=settings.lease,
            owner=options.replica,
            done_ttl=settings.retention.claims_age,
        )
        return {**adapters, Claims: claims, Rates: NatsRates(connection, publisher, wiring.name)}

    return Engine(wiring, lambda: open_bus(settings, identity_of(wiring.name)), ports, options, adapters.get(Feeds))


async def _work(engines: Sequence[Engine], settings: Settings, stop: asyncio.Event, clouds: Clouds) -> None:
    flush_traces = set_up_tracing(settings, f"{socket.gethostname()}-{os.getpid()}")
    health = HealthServer(lambda: _live(engines), lambda: _ready(engines))
    try:
        async with asyncio.TaskGroup() as group:
            readies = []
            for engine in engines:
                worker_name.set(engine.wiring.name)
                ready = asyncio.Event()
                readies.append(ready)
                group.create_task(engine.run(stop, ready), name=engine.wiring.name)
            worker_name.set(None)
            group.create_task(_announce(engines, readies, settings, health, stop, clouds))
    finally:
        await health.stop()
        if flush_traces is not None:
            await asyncio.to_thread(flush_traces)


async def _announce(
    engines: Sequence[Engine],
    readies: Sequence[asyncio.Event],
    settings: Settings,
    health: HealthServer,
    stop: asyncio.Event,
    clouds: Clouds,
) -> None:
    """Open the health pages, and say once that the work began."""
    where = "off"
    if settings.metrics_port >= 0:
        try:
            port = await health.start(settings.metrics_port, settings.metrics_host)
        except OSError as error:
            stop.set()
            raise Unavailable(
                f"port {settings.metrics_port} for /metrics is taken ({error.strerror}): set SEALANE_METRICS_PORT"
            ) from error
        where = f"http://{settings.metrics_host}:{port}/metrics"
    with suppress(StoppedEarly):
        for ready in readies:
            await unless_stopped(stop, ready.wait())
        log.info("ready: %s; metrics: %s", ", ".join(engine.wiring.name for engine in engines), where)
        await unless_stopped(stop, clouds.warm_up())


async def _live(engines: Sequence[Engine]) -> tuple[bool, dict[str, object]]:
    found = {engine.wiring.name: await engine.health() for engine in engines}
    return all(health.live for health in found.values()), {name: asdict(health) for name, health in found.items()}


async def _ready(engines: Sequence[Engine]) -> tuple[bool, dict[str, object]]:
    found = {engine.wiring.name: await engine.health() for engine in engines}
    return all(health.ready for health in found.values()), {name: asdict(health) for name, health in found.items()}
