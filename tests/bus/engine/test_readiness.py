"""Readiness knows drain and drift; a stop ends what hangs; a handler that does not obey loses its message."""

import asyncio
from datetime import timedelta

from nats.js.api import ConsumerConfig

from schemas.echoes import EchoAnswered, EchoRequested
from tests.bus.engine.conditions import answer, is_done, not_ready, ready
from tests.bus.lane import PATIENCE, Lane, until, worker


async def test_a_draining_worker_lives_and_is_not_ready(lane: Lane) -> None:
    """While it finishes what it began, nobody restarts it and nobody counts on it."""
    release = asyncio.Event()

    async def slow(event: EchoRequested) -> EchoAnswered:
        await release.wait()
        return EchoAnswered(message=event.message)

    wiring = worker(slow)
    await lane.provision(wiring)
    await lane.ask("x")

    async with lane.running(wiring) as engine:
        await until(lambda: bool(engine.hold.running))

        async def watch() -> bool:
            await until(lambda: not_ready(engine, "draining"), what="it says that it is draining")
            live = (await engine.health()).live
            release.set()
            return live

        watching = asyncio.create_task(watch())

    assert await watching is True
    assert await is_done(lane, "slow")


async def test_a_consumer_changed_under_a_running_worker_is_named(lane: Lane) -> None:
    """Somebody lets the server give up after three deliveries, which would lose messages: the worker is not ready."""
    wiring = worker(answer)
    await lane.provision(wiring)
    async with lane.running(wiring) as engine:
        await until(lambda: ready(engine))
        js = lane.connection.client.jetstream()
        config = (await js.consumer_info("EVENTS", "answer")).config
        await js.add_consumer("EVENTS", ConsumerConfig(**(vars(config) | {"max_deliver": 3})))
        await until(lambda: not_ready(engine, "max_deliver"), what="readiness names the setting")
        await lane.provision(wiring)
        await until(lambda: ready(engine), what="ready again")


async def test_what_hangs_beyond_the_grace_is_handed_back_at_once(lane: Lane) -> None:
    """Its lease would hold for longer than anybody here waits; another replica has it long before."""
    called: list[str] = []

    async def hanging(event: EchoRequested) -> EchoAnswered:
        called.append(event.message)
        if len(called) == 1:
            await asyncio.Event().wait()
        return EchoAnswered(message=event.message)

    wiring = worker(hanging, ack_wait=timedelta(seconds=10 * PATIENCE))
    await lane.provision(wiring)
    await lane.ask("x")
    async with lane.running(wiring, grace=0.2):
        await until(lambda: called == ["x"])
    async with lane.running(wiring):
        await until(lambda: is_done(lane, "hanging"))

    assert await lane.answers() == ["x"]


async def test_a_handler_that_ignores_its_cancellation_loses_its_message(lane: Lane) -> None:
    """Its lease is no longer extended, so that the message is delivered anew while the first one still hangs."""
    release = asyncio.Event()
    called: list[str] = []

    async def deaf(event: EchoRequested) -> EchoAnswered:
        called.append(event.message)
        while len(called) == 1 and not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return EchoAnswered(message=event.message)

    wiring = worker(deaf, ack_wait=timedelta(seconds=1), time_limit=timedelta(seconds=1))
    await lane.provision(wiring)
    await lane.ask("x")

    async with lane.running(wiring):
        try:
            await until(lambda: len(called) == 2, what="it is delivered again")
            await until(lambda: _answered_once(lane))
        finally:
            release.set()
        await until(lambda: is_done(lane, "deaf"))

    assert await lane.answers() == ["x"]


async def _answered_once(lane: Lane) -> bool:
    return await lane.answers() == ["x"]
