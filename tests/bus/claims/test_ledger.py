"""What the replicas of the door remember together: the first one to write a key down has it, all others are told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Protocol

import pytest

from tests.bus.conftest import ConnectAs
from tests.bus.lane import until
from workers.bus.claims.ledger import LONGEST_VALUE, Ledger, Row
from workers.bus.topology.permissions import GATEWAY
from workers.bus.transport.connection import Connection, connect
from workers.bus.transport.publisher import Publisher
from workers.failures import Denied, Invalid, Unavailable
from workers.local.nats import NatsServer

KEY = "jti.0123456789abcdef"
HOUR = timedelta(hours=1)


class Join(Protocol):
    """Joins a replica of the door, over a connection of its own."""

    async def __call__(self) -> Ledger:
        """Join."""


@pytest.fixture
async def join(nats_server: NatsServer, provisioned: Connection) -> AsyncIterator[Join]:
    """Return the function."""
    async with AsyncExitStack() as stack:

        async def join() -> Ledger:
            connection = await connect(nats_server.url, identity="tester", first_wait=30)
            stack.push_async_callback(connection.close)
            return await _ledger(connection, stack)

        yield join


async def _ledger(connection: Connection, stack: AsyncExitStack) -> Ledger:
    publisher = Publisher(connection)
    await publisher.start()
    stack.push_async_callback(publisher.close)
    return Ledger(connection, publisher)


async def test_the_first_writer_has_the_key_and_the_others_are_told_what_is_there(join: Join) -> None:
    """A note is None for the first, and for everybody after it what the first one wrote."""
    one, other = await join(), await join()
    assert await one.read(KEY) is None
    assert await one.note(KEY, b"first", ttl=HOUR) is None
    assert await other.note(KEY, b"second", ttl=HOUR) == b"first"
    assert await one.note(KEY, b"first", ttl=HOUR) == b"first"
    assert await other.read(KEY) == b"first"


async def test_of_many_at_once_exactly_one_has_the_key(join: Join) -> None:
    """Two replicas with twenty callers each: one None, and the same answer for all others."""
    replicas = [await join(), await join()]
    values = [b"%d" % number for number in range(40)]
    found = await asyncio.gather(
        *(replicas[number % 2].note(KEY, value, ttl=HOUR) for number, value in enumerate(values))
    )
    assert found.count(None) == 1
    assert {one for one in found if one is not None} == {values[found.index(None)]}


async def test_an_expired_key_is_free_again(join: Join) -> None:
    """After its time the key is nobody's, and may be written anew."""
    ledger = await join()
    assert await ledger.note(KEY, b"short", ttl=timedelta(seconds=1)) is None

    async def gone() -> bool:
        return await ledger.read(KEY) is None

    await until(gone, within=30)
    assert await ledger.note(KEY, b"new", ttl=HOUR) is None


async def test_a_replacement_counts_only_on_the_revision_that_was_seen(join: Join) -> None:
    """Compare-and-set: who read an older revision writes nothing."""
    one, other = await join(), await join()
    revision = await one.replace(KEY, b"a", 0, ttl=HOUR)
    assert revision is not None
    assert await other.look(KEY) == Row(b"a", revision)
    newer = await other.replace(KEY, b"b", revision, ttl=HOUR)
    assert newer is not None
    assert await one.replace(KEY, b"c", revision, ttl=HOUR) is None
    assert await one.look(KEY) == Row(b"b", newer)


@pytest.mark.parametrize("key", ["", "jti", "jti.", "jti.short", "jti.a b c d e f", "jti.*", "jti.>", "a.b.c.d.e.f.g"])
async def test_a_key_that_is_no_hash_is_refused(join: Join, key: str) -> None:
    """No wildcard, no space and no further token reaches a subject."""
    ledger = await join()
    with pytest.raises(Invalid, match="no key of the ledger"):
        await ledger.note(key, b"", ttl=HOUR)
    with pytest.raises(Invalid, match="no key of the ledger"):
        await ledger.read(key)


async def test_a_long_value_is_refused(join: Join) -> None:
    """The ledger is for short values."""
    with pytest.raises(Invalid, match=f"at most {LONGEST_VALUE}"):
        await (await join()).note(KEY, bytes(LONGEST_VALUE + 1), ttl=HOUR)


async def test_a_note_survives_the_death_of_the_server(nats_server: NatsServer, join: Join) -> None:
    """Killed and started again, the server knows the key still."""
    ledger = await join()
    await ledger.note(KEY, b"first", ttl=HOUR)
    await nats_server.kill()
    await nats_server.start()
    async with asyncio.timeout(60):
        while True:
            try:
                assert await ledger.note(KEY, b"second", ttl=HOUR) == b"first"
            except Unavailable:
                continue
            return


async def test_the_door_may_use_the_ledger_and_a_worker_may_not(connect_as: ConnectAs) -> None:
    """The permissions of the server say so."""
    async with AsyncExitStack() as stack:
        assert await (await _ledger(await connect_as(GATEWAY), stack)).note(KEY, b"first", ttl=HOUR) is None
        worker = await _ledger(await connect_as("worker-probe"), stack)
        with pytest.raises(Denied):
            await worker.read(KEY)
