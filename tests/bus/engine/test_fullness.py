"""A stream that refuses new events when full is heard of before it is."""

from prometheus_client import REGISTRY

from schemas.echoes import EchoRequested
from tests.bus.lane import Lane, until, worker
from workers.bus.engine import Engine
from workers.bus.fullness import alarm, fullness
from workers.bus.jetstream import JetStreamApi


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
