"""A stream that refuses new events when full is heard of before it is."""

from prometheus_client import REGISTRY

from schemas.echoes import EchoRequested
from tests.bus.engine.conditions import is_done
from tests.bus.lane import Lane, until, worker
from workers.bus.engine.engine import Engine
from workers.bus.topology.fullness import alarm, fullness
from workers.bus.transport.jetstream import JetStreamApi
from workers.failures import PermanentError


async def quiet(event: EchoRequested) -> None:
    """Consume, emit nothing."""


async def _ready(engine: Engine) -> bool:
    return (await engine.health()).ready


async def test_an_almost_full_stream_is_an_alarm_and_a_figure(lane: Lane) -> None:
    """Above 80 % the sentence says how full and what to do; the worker stays ready, since it is what empties it."""
    wiring = worker(quiet)
    await lane.provision(wiring, events_bytes=20_000)
    api = JetStreamApi(lane.connection)
    assert alarm(await api.stream("EVENTS") or {}) is None

    number = 0
    while (fullness(await api.stream("EVENTS") or {}) or 0) < 0.85:
        number += 1
        await lane.ask(f"{number}{'x' * 200}")
    async with lane.running(wiring) as engine:
        await until(lambda: _ready(engine), what="the worker is ready all the same")

    sentence = alarm(await api.stream("EVENTS") or {})
    assert sentence is not None
    assert "sealane streams apply" in sentence
    assert (REGISTRY.get_sample_value("sealane_stream_fullness", {"stream": "EVENTS"}) or 0) > 0.8


async def test_a_poisoned_event_stays_on_the_bus_while_there_is_no_room_for_its_dead_letter(lane: Lane) -> None:
    """It is not terminated before its letter is stored: it comes again until there is room."""

    async def never(event: EchoRequested) -> None:
        raise PermanentError("z" * 3000)

    wiring = worker(never)
    await lane.provision(wiring, dead_bytes=2000)
    await lane.ask("x")
    async with lane.running(wiring) as engine:
        await until(lambda: engine.metrics.handled["retry"] > 0, what="its letter was refused")
        assert await lane.pending("EVENTS", "never") == (0, 1)
        assert await lane.count("DEAD") == 0
        await lane.provision(wiring)
        await until(lambda: _is_buried(lane), what="there is room for the letter")
        await until(lambda: is_done(lane, "never"))


async def _is_buried(lane: Lane) -> bool:
    return await lane.count("DEAD") == 1
