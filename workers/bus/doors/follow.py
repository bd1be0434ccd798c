"""Follows a stream: reads what is there, then what comes, across reconnects, without losing or repeating a message.

A plain subscription only says that something came; what is handed on is always read from the stream, in the order of
its sequences. So there is no consumer whose loss would go unnoticed, and a follower that was away goes on with the
sequence after the last one it saw.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence

from nats.aio.subscription import Subscription
from pydantic import ValidationError

from schemas.progress import ProgressMessage
from workers.bus.topology.streams import PROGRESS
from workers.bus.transport.connection import Connection
from workers.bus.transport.jetstream import JetStreamApi
from workers.bus.transport.stored import Page, Stored, read_page
from workers.failures import SealaneError, Unavailable

log = logging.getLogger(__name__)
LOOK_INTERVAL = 2.0
"""Seconds after which a live follower looks even though nothing was announced."""
_SOON = (0.002, 0.01, 0.05, 0.2)
"""Seconds between looks for what was announced and is not stored yet."""


async def last_sequence(connection: Connection, stream: str) -> int:
    """Return the sequence of the last message that the stream took. Raises Unavailable, Denied."""
    info = await JetStreamApi(connection).stream(stream)
    if info is None:
        raise Unavailable(f"there is no stream {stream}: `sealane streams apply` makes it")
    return int(info["state"]["last_seq"])


async def follow(
    connection: Connection,
    stream: str,
    subject: str,
    *,
    start: int | None = 1,
    live: bool = True,
    announced_on: Sequence[str] | None = None,
) -> AsyncGenerator[Stored, None]:
    """Yield what a stream holds on a subject from a sequence on, and with `live` what comes, for ever.

    `announced_on` are the subjects to listen on, where the identity may not listen on the whole subject.
    `start=None` begins with what comes next. While the server is away a live follower waits; without `live` it raises
    Unavailable. Raises Denied when the identity may not read the stream.
    """
    position = start if start is not None else await last_sequence(connection, stream) + 1
    bell = _Bell(connection, stream, announced_on or (subject,))
    if live:
        await bell.hang()
    try:
        page = await read_page(connection, stream, subject=subject, start=position)
        while True:
            for message in page.messages:
                position = message.sequence + 1
                yield message
            if not live and not page.pending:
                return
            if not page.pending:
                position = await bell.next(position, quickly=not page.messages)
            page = await _look(connection, stream, subject, position, patient=live)
    finally:
        await bell.take_down()


async def _look(connection: Connection, stream: str, subject: str, position: int, *, patient: bool) -> Page:
    try:
        return await read_page(connection, stream, subject=subject, start=position)
    except Unavailable as error:
        if not patient or connection.client.is_closed:
            raise
        log.debug("waiting for the server: %s", error)
        return Page((), 0)


async def follow_progress(
    connection: Connection, *, run: str = "*", worker: str = "*", start: int | None = 1, live: bool = True
) -> AsyncGenerator[tuple[int, ProgressMessage], None]:
    """Yield (sequence, progress message) as `follow` does; a message that is none is passed over with a warning."""
    async for stored in follow(connection, PROGRESS, f"progress.{worker}.{run}", start=start, live=live):
        message = read_progress(stored)
        if message is not None:
            yield stored.sequence, message


def read_progress(stored: Stored) -> ProgressMessage | None:
    """Return the progress message, or None when it is none that this version can read."""
    try:
        return ProgressMessage.model_validate_json(stored.body)
    except ValidationError as error:
        log.warning("PROGRESS %s cannot be read: %s problem(s)", stored.sequence, error.error_count())
        return None


class _Bell:
    """Rings when something is published on the subject, or when the connection is back."""

    def __init__(self, connection: Connection, stream: str, subjects: Sequence[str]) -> None:
        self._connection = connection
        self._stream = stream
        self._subjects = subjects
        self._rung = asyncio.Event()
        self._reconnected = False
        self._pauses: list[float] = []
        self._subscriptions: list[Subscription] = []

    async def hang(self) -> None:
        """Listen."""

        async def ring(_message: object) -> None:
            self._rung.set()

        self._connection.reconnected.append(self._on_reconnect)
        for subject in self._subjects:
            self._subscriptions.append(await self._connection.client.subscribe(subject, cb=ring))

    async def take_down(self) -> None:
        """Listen no more."""
        if self._on_reconnect in self._connection.reconnected:
            self._connection.reconnected.remove(self._on_reconnect)
        if self._connection.client.is_connected:
            for subscription in self._subscriptions:
                await subscription.unsubscribe()

    async def next(self, position: int, *, quickly: bool) -> int:
        """Wait until it is worth looking again, and return from where.

        What was announced may not be stored yet: after a look that found nothing, `quickly` looks again soon.
        """
        if quickly and self._pauses and not self._rung.is_set():
            await asyncio.sleep(self._pauses.pop(0))
            return position
        try:
            async with asyncio.timeout(LOOK_INTERVAL):
                await self._rung.wait()
        except TimeoutError:
            self._pauses = []
        else:
            self._rung.clear()
            self._pauses = list(_SOON)
        return await self._after_reconnect(position) if self._reconnected else position

    async def _after_reconnect(self, position: int) -> int:
        """Return where to read on; a stream that was made anew counts from 1 again."""
        try:
            last = await last_sequence(self._connection, self._stream)
        except SealaneError as error:
            log.debug("waiting for the server: %s", error)
            return position
        self._reconnected = False
        return position if last >= position - 1 else 1

    async def _on_reconnect(self) -> None:
        self._reconnected = True
        self._rung.set()
