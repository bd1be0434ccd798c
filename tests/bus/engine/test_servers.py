"""The server dies, is away, loses a consumer or a stream, or is full: work goes on by itself."""

import asyncio

from schemas.echoes import EchoAnswered, EchoRequested
from tests.bus.engine.conditions import (
    answer,
    answered,
    is_done,
    not_ready,
    ready,
    reconnects,
    retried,
)
from tests.bus.lane import Lane, until, worker
from workers.local.nats import NatsServer


async def test_a_killed_server_loses_nothing_and_repeats_nothing(lane: Lane, nats_server: NatsServer) -> None:
    """Kill -9 of the server under load, twice; the worker goes on by itself."""
    wiring = worker(answer)
    await lane.provision(wiring)
    messages = [str(number) for number in range(2000)]
    async with lane.running(wiring) as engine:
        publishing = asyncio.create_task(lane.ask(*messages))
        for _ in range(2):
            before = engine.metrics.handled["done"]
            await until(lambda before=before: engine.metrics.handled["done"] > before + 100)
            await nats_server.kill()
            await nats_server.start()
        await publishing
        await until(lambda: is_done(lane, "answer"), within=60)

    assert await lane.answers() == sorted(messages)


async def test_a_server_away_for_as_many_attempts_as_in_ten_minutes_is_found_again(
    lane: Lane, nats_server: NatsServer
) -> None:
    """300 failed attempts to reconnect, as many as a client with a two-second wait makes in ten minutes."""
    wiring = worker(answer)
    await lane.provision(wiring)
    async with lane.running(wiring) as engine:
        engine.incoming.client.options["reconnect_time_wait"] = 0.01
        engine.outgoing.client.options["reconnect_time_wait"] = 0.01
        await lane.ask("before")
        await until(lambda: is_done(lane, "answer"))
        await nats_server.kill()
        attempts = engine.incoming.client
        await until(lambda: reconnects(attempts) >= 300, within=60, what="300 attempts failed")
        assert not (await engine.health()).ready
        await nats_server.start()
        await lane.ask("after")
        await until(lambda: is_done(lane, "answer"), within=60)
        await until(lambda: ready(engine), what="it says that it is ready again")

    assert await lane.answers() == ["after", "before"]


async def test_a_deleted_consumer_is_said_and_work_goes_on_once_it_is_back(lane: Lane) -> None:
    """No spinning, no silence: readiness names it, and nobody has to restart anything."""
    wiring = worker(answer)
    await lane.provision(wiring)
    async with lane.running(wiring) as engine:
        await lane.ask("before")
        await until(lambda: is_done(lane, "answer"))
        await lane.connection.client.jetstream().delete_consumer("EVENTS", "answer")
        await until(lambda: not_ready(engine, "EVENTS"), what="readiness names the consumer")
        await lane.provision(wiring)
        await lane.ask("after")
        await until(lambda: ready(engine), what="ready again")
        await until(lambda: answered(lane, 2))

    assert await lane.answers() == ["after", "before"]


async def test_a_deleted_stream_is_said_and_work_goes_on_once_it_is_back(lane: Lane) -> None:
    """The same for the stream itself."""
    wiring = worker(answer)
    await lane.provision(wiring)
    async with lane.running(wiring) as engine:
        await until(lambda: ready(engine))
        await lane.connection.client.jetstream().delete_stream("EVENTS")
        await until(lambda: not_ready(engine, "EVENTS"), what="readiness names the stream")
        await lane.provision(wiring)
        await lane.ask("after")
        await until(lambda: answered(lane, 1))

    assert await lane.answers() == ["after"]


async def test_a_full_stream_refuses_the_follow_up_and_the_input_stays(lane: Lane) -> None:
    """Nothing old is dropped for something new: the input waits on the bus until there is room."""

    async def big(event: EchoRequested) -> EchoAnswered:
        return EchoAnswered(message="y" * 2000)

    wiring = worker(big)
    await lane.provision(wiring, events_bytes=6000)
    await lane.ask("x" * 1500)
    async with lane.running(wiring):
        await until(lambda: retried(lane), what="the follow-up was refused and the input is retried")
        await lane.provision(wiring, events_bytes=64 * 1024**2)
        await until(lambda: is_done(lane, "big"))

    (retry, *_) = await lane.results(outcome="retry")
    assert "takes nothing now" in retry["message"]
    assert len(await lane.answers()) == 1
