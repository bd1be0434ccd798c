"""Rates that the outside imposes are learned from its refusals and shared by all replicas of a worker."""

import asyncio
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Protocol

import pytest

from workers.bus.claims import rates
from workers.bus.claims.rates import NatsRates, Rate
from workers.bus.topology.streams import claims_stream
from workers.bus.transport.connection import Connection, connect
from workers.bus.transport.jetstream import JetStreamApi
from workers.bus.transport.publisher import Publisher
from workers.failures import QuotaExhausted
from workers.local.nats import NatsServer

ROW = f"$KV.{claims_stream('sign').removeprefix('KV_')}.rate.binaryauthorization=2Evalidate"
NAME = "binaryauthorization.validate"
FAR = timedelta(hours=1)
REFUSAL = QuotaExhausted("the quota is used up", after=timedelta(seconds=30), limit=100)


class Join(Protocol):
    """Joins a replica of the worker `sign`, over a connection of its own."""

    async def __call__(self) -> NatsRates:
        """Join."""


@pytest.fixture
async def join(nats_server: NatsServer, provisioned: Connection) -> AsyncIterator[Join]:
    """Return the function."""
    async with AsyncExitStack() as stack:

        async def join() -> NatsRates:
            connection = await connect(nats_server.url, identity="tester", first_wait=30)
            stack.push_async_callback(connection.close)
            publisher = Publisher(connection)
            await publisher.start()
            stack.push_async_callback(publisher.close)
            return NatsRates(connection, publisher, "sign")

        yield join


async def _row(connection: Connection) -> Rate:
    found = await JetStreamApi(connection).request(f"STREAM.MSG.GET.{claims_stream('sign')}", {"last_by_subj": ROW})
    return Rate.model_validate_json(b64decode(found["message"]["data"]))


async def test_nobody_waits_while_nobody_was_refused(join: Join) -> None:
    """Without a known limit every turn is at once, and nothing is written."""
    replica = await join()
    assert [await replica.turn(NAME, within=FAR) for _ in range(5)] == [timedelta(0)] * 5


async def test_the_first_turn_comes_when_the_refusal_said(join: Join) -> None:
    """Half a minute from now, and not before."""
    replica = await join()
    began = time.monotonic()
    await replica.refused(NAME, REFUSAL)
    turn = await replica.turn(NAME, within=FAR)

    assert timedelta(seconds=29 - (time.monotonic() - began)) < turn <= timedelta(seconds=30)


async def test_no_two_replicas_get_the_same_turn(
    join: Join, provisioned: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty turns of three replicas at once move the row on by forty intervals; one learns from another's refusal."""
    monkeypatch.setattr(rates, "LOOK_SECONDS", 0.0)
    replicas = [await join() for _ in range(3)]
    await replicas[0].refused(NAME, REFUSAL)
    before = await _row(provisioned)
    await asyncio.gather(*(replicas[number % 3].turn(NAME, within=FAR) for number in range(40)))
    after = await _row(provisioned)
    assert after.free_at - before.free_at == pytest.approx(40 * 60 / 100 * 1.02)


async def test_a_turn_that_is_far_away_is_refused_and_not_taken(join: Join) -> None:
    """The sentence says when; asking twice does not move it on."""
    replica = await join()
    await replica.refused(NAME, REFUSAL)
    with pytest.raises(
        QuotaExhausted, match=r"100 times a minute, and the next turn is at \d\d:\d\d:\d\d UTC"
    ) as first:
        await replica.turn(NAME, within=timedelta(seconds=5))
    with pytest.raises(QuotaExhausted) as second:
        await replica.turn(NAME, within=timedelta(seconds=5))
    assert second.value.after <= first.value.after


async def test_a_limit_is_forgotten_when_nobody_is_refused_for_long(
    join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then turns are at once again."""
    monkeypatch.setattr(rates, "REMEMBERED", timedelta(seconds=0))
    replica = await join()
    await replica.refused(NAME, REFUSAL)
    assert await replica.turn(NAME, within=FAR) == timedelta(0)


async def test_a_row_that_cannot_be_read_stops_nobody(
    join: Join, provisioned: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next refusal writes over it."""
    monkeypatch.setattr(rates, "LOOK_SECONDS", 0.0)
    await JetStreamApi(provisioned).store(ROW, b"nonsense", {})
    replica = await join()
    assert await replica.turn(NAME, within=FAR) == timedelta(0)
    await replica.refused(NAME, REFUSAL)
    assert await replica.turn(NAME, within=FAR) > timedelta(0)
