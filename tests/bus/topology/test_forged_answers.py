"""The server stores an answer on whatever subject its asker names: what any identity can put there must do no harm."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import pytest

from tests.bus.lane import until, worker
from workers.bus.engine.engine import Engine, EngineOptions
from workers.bus.judgement.line import read_line, resume_line, stop_line
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import JetStreamApi
from workers.bus.transport.publisher import Publisher
from workers.bus.wiring import Wiring, wire
from workers.card import Card

ConnectAs = Callable[[str], Awaitable[Connection]]
woken: list[int] = []


async def _sweep() -> None:
    """Note that it was woken."""
    woken.append(1)


@pytest.fixture
def wirings() -> dict[str, Wiring]:
    """Return a worker that will misbehave, and one that is woken by a clock, but not today."""

    async def probe() -> None:
        """Only its identity matters."""

    return {
        "probe": worker(probe, tick="@every 24h"),
        "sweep": wire(Card("sweep", "Is woken.", tick="@every 24h", ack_wait=timedelta(seconds=5)), _sweep),
    }


@pytest.mark.parametrize(
    ("request_subject", "body"),
    [
        ("$JS.API.CONSUMER.INFO.CRON.probe", b""),
        ("$JS.API.STREAM.INFO.CRON", b""),
        ("$JS.API.CONSUMER.MSG.NEXT.CRON.probe", b'{"batch":1,"no_wait":true}'),
        ("progress.probe.run", b"{}"),
    ],
)
async def test_no_answer_resumes_somebody_elses_line(connect_as: ConnectAs, request_subject: str, body: bytes) -> None:
    """A line that a person stopped stays stopped, says why, and the person can resume it."""
    person, probe = await connect_as("operator"), await connect_as("worker-probe")
    publisher = Publisher(person)
    await publisher.start()
    await stop_line(person, publisher, "sweep", by="ada", reason="maintenance")
    _, before = await read_line(person, "sweep")
    await probe.client.publish(request_subject, body, reply="$KV.lines.sweep")
    await until(lambda: _is_overwritten(person, before), what="the answer was stored")

    state, _ = await read_line(person, "sweep")
    await resume_line(person, publisher, "sweep", by="ada")
    resumed, _ = await read_line(person, "sweep")
    await publisher.close()

    assert (state.state, state.automatic) == ("stopped", False)
    assert "`sealane line resume sweep`" in str(state.reason)
    assert resumed.state == "running"


async def _is_overwritten(connection: Connection, revision: int) -> bool:
    return (await read_line(connection, "sweep"))[1] > revision


async def test_no_answer_wakes_somebody_elses_worker(connect_as: ConnectAs, wirings: Mapping[str, Wiring]) -> None:
    """A tick that no schedule fired is a dead letter, and the worker sleeps on."""
    woken.clear()
    probe, person = await connect_as("worker-probe"), await connect_as("operator")
    await probe.client.publish("$JS.API.CONSUMER.INFO.CRON.probe", b"", reply="tick.sweep")
    stop = asyncio.Event()
    engine = Engine(wirings["sweep"], lambda: connect_as("worker-sweep"), lambda *_: {}, EngineOptions(grace=5))
    running = asyncio.create_task(engine.run(stop))
    api = JetStreamApi(person)
    await until(lambda: _buried(api), what="it is a dead letter")
    stop.set()
    await running

    letter = await api.request("STREAM.MSG.GET.DEAD", {"last_by_subj": "dead.sweep.tick.sweep"})
    assert letter["message"]["seq"] == 1
    assert woken == []


async def _buried(api: JetStreamApi) -> bool:
    info = await api.stream("DEAD")
    return bool(info and info["state"]["messages"])
