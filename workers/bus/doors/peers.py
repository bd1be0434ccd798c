"""What a replica of the door asks all others: whoever knows says it, and nobody else speaks.

Over plain NATS, of which nothing is stored: for what a replica happens to remember, and may have forgotten.
"""

import contextlib
from collections.abc import Callable

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from workers.bus.topology.permissions import BETWEEN_DOORS
from workers.bus.transport.connection import Connection

_PATIENCE = 0.5
"""Seconds to wait for somebody who knows: they answer out of their memory."""


class Peers:
    """The other replicas. `find` is what this one knows itself. `await start()` before, `await close()` after."""

    def __init__(self, connection: Connection, find: Callable[[bytes], bytes | None]) -> None:
        self._connection = connection
        self._find = find
        self._listening: Subscription | None = None

    async def start(self) -> None:
        """Begin to answer."""
        self._listening = await self._connection.client.subscribe(BETWEEN_DOORS, cb=self._answer)

    async def close(self) -> None:
        """Answer no more; done already is fine."""
        if self._listening is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._listening.unsubscribe()
            self._listening = None

    async def ask(self, question: bytes) -> bytes | None:
        """Return the first answer; None when nobody knows, or the bus is away."""
        try:
            return (await self._connection.client.request(BETWEEN_DOORS, question, timeout=_PATIENCE)).data
        except (nats.errors.Error, TimeoutError):
            return None

    async def _answer(self, message: Msg) -> None:
        if (found := self._find(message.data)) is not None:
            await message.respond(found)
