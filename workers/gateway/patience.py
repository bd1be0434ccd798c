"""Ends connections that hold a place and do nothing: a request that never comes to its end, an answer nobody takes.

The protocol bounds the head of a request, and whoever reads a body bounds that. What is left is seen from outside: a
connection that stands where it stood for too long. One look a second, so that requests themselves pay nothing.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Any, Protocol

from workers.gateway.metrics import DoorMetrics

WAITING_SECONDS = 15.0
"""How long a connection may stay without a request that is worked on: idle, in a head, or in the rest of a body."""
STALLED_SECONDS = 20.0
"""How long a client may take nothing of an answer."""
_INTERVAL = 1.0


class Served(Protocol):
    """A connection as uvicorn's protocols for HTTP/1.1 keep it."""

    cycle: Any
    """The last request: `response_complete` says that it is answered; None before the first one."""
    flow: Any
    """`write_paused` says that the client does not take what is written."""
    transport: asyncio.Transport


class Patience:
    """Watches the connections of a server. `clock` is monotonic, in seconds."""

    def __init__(
        self, connections: Collection[Any], metrics: DoorMetrics, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connections = connections
        self._metrics = metrics
        self._clock = clock
        self._stuck: dict[Served, tuple[object, float]] = {}

    async def watch(self) -> None:
        """Look, for ever."""
        while True:
            await asyncio.sleep(_INTERVAL)
            self.look()

    def look(self) -> None:
        """End what has not moved for too long."""
        now, stuck = self._clock(), {}
        for connection in list(self._connections):
            place = _place(connection)
            if place is None:
                continue
            where, patience = place
            before, since = self._stuck.get(connection, (None, now))
            if where != before:
                since = now
            if now - since < patience:
                stuck[connection] = where, since
            else:
                self._metrics.cut += 1
                connection.transport.abort()
        self._stuck = stuck


def _place(connection: Served) -> tuple[object, float] | None:
    """Return where a connection stands and how long it may, None when it is at work."""
    cycle = connection.cycle
    if cycle is None or cycle.response_complete:
        return ("waiting", cycle), WAITING_SECONDS
    if connection.flow.write_paused:
        return ("stalled", connection.transport.get_write_buffer_size()), STALLED_SECONDS
    return None
