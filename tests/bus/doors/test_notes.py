"""What the replicas of the door note in the ledger, as each of them follows it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta

import pytest

from workers.bus.claims.ledger import Ledger
from workers.bus.doors.notes import Note, follow_notes
from workers.bus.transport.connection import Connection
from workers.bus.transport.publisher import Publisher


@pytest.fixture
async def publisher(provisioned: Connection) -> AsyncIterator[Publisher]:
    """Publish over the same connection."""
    publisher = Publisher(provisioned)
    await publisher.start()
    yield publisher
    await publisher.close()


async def test_what_was_noted_comes_first_then_none_then_what_comes(
    provisioned: Connection, publisher: Publisher
) -> None:
    """Of one prefix alone, with its revision, and until when it is kept."""
    ledger = Ledger(provisioned, publisher)
    first = await ledger.replace("signedout.11111111", b"out", 0, ttl=timedelta(hours=1))
    await ledger.note("jti.22222222", b"used", ttl=timedelta(hours=1))
    async with asyncio.timeout(60), aclosing(follow_notes(provisioned, "signedout")) as notes:
        kept = await anext(notes)
        assert await anext(notes) is None
        second = await ledger.replace("signedout.33333333", b"out", 0, ttl=timedelta(hours=2))
        came = await anext(notes)

    assert isinstance(kept, Note)
    assert isinstance(came, Note)
    assert [(kept.key, kept.revision), (came.key, came.revision)] == [
        ("signedout.11111111", first),
        ("signedout.33333333", second),
    ]
    assert 3000 < kept.until - time.time() <= 3600 < came.until - time.time() <= 7200
