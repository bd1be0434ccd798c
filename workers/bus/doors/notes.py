"""Follows what the replicas of the door note in the ledger under one prefix, so that each has it in memory."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta

from workers.bus.claims.ledger import subjects_of
from workers.bus.doors.follow import follow
from workers.bus.topology.streams import LEDGER
from workers.bus.transport.connection import Connection
from workers.bus.transport.headers import TTL
from workers.bus.transport.stored import Stored


@dataclass(frozen=True, slots=True)
class Note:
    """A key that somebody wrote, and until when it is kept (seconds since 1970)."""

    key: str
    revision: int
    until: float


async def follow_notes(connection: Connection, prefix: str) -> AsyncGenerator[Note | None, None]:
    """Yield the notes there are, None once that is all of them, and then those that come, for ever.

    Raises Unavailable while the first ones cannot be read, Denied.
    """
    subject, start = subjects_of(prefix), 1
    async with aclosing(follow(connection, LEDGER, subject, live=False)) as kept:
        async for stored in kept:
            start = stored.sequence + 1
            yield _note(stored)
    yield None
    async with aclosing(follow(connection, LEDGER, subject, start=start)) as coming:
        async for stored in coming:
            yield _note(stored)


def _note(stored: Stored) -> Note:
    lifetime = timedelta(seconds=int(stored.headers[TTL].removesuffix("s")))
    return Note(stored.subject.split(".", 2)[2], stored.sequence, (stored.at + lifetime).timestamp())
