"""Reads runs out of PROGRESS: one, or the newest."""

import asyncio

from workers.bus.doors.follow import follow_progress, last_sequence
from workers.bus.doors.runs import Consumers, Run
from workers.bus.topology.streams import PROGRESS
from workers.bus.transport.connection import Connection
from workers.bus.transport.stored import read_all

_WINDOW = 2048
_AT_ONCE = 8


async def read_run(connection: Connection, run: str, consumers: Consumers) -> Run:
    """Return a run as far as it is stored. Raises Unavailable, Denied."""
    found = Run(run, consumers)
    async for sequence, message in follow_progress(connection, run=run, live=False):
        found.add(sequence, message)
    return found


async def newest_runs(connection: Connection, consumers: Consumers, *, limit: int) -> list[Run]:
    """Return the runs which spoke last, newest first. Raises Unavailable, Denied."""
    names = await _newest_names(connection, limit)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(name: str) -> Run:
        async with gate:
            return await read_run(connection, name, consumers)

    return list(await asyncio.gather(*map(read, names)))


async def _newest_names(connection: Connection, limit: int) -> list[str]:
    """Read backwards in growing windows until there are enough different runs."""
    end = await last_sequence(connection, PROGRESS) + 1
    names: dict[str, None] = {}
    window = _WINDOW
    while end > 1 and len(names) < limit:
        start = max(1, end - window)
        spoken = []
        async for stored in read_all(connection, PROGRESS, start=start):
            if stored.sequence >= end:
                break
            spoken.append(stored.subject.rpartition(".")[2])
        names |= dict.fromkeys(name for name in reversed(spoken) if name not in names)
        end, window = start, window * 2
    return list(names)[:limit]
