"""Which sessions are over before their time, known at every replica of the door.

A session is two names: its own, and that of its principal. Whoever signs out has the first one noted in the ledger,
whoever signs out everywhere the second; a session is over once either was noted after it began. The notes are followed,
so that a page costs no request; before something is done, the ledger itself is asked.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import timedelta

from schemas.identity import digest_of
from workers.bus.claims.ledger import Ledger
from workers.bus.doors.fanout import ended
from workers.bus.doors.notes import Note, follow_notes
from workers.bus.doors.steady import steadily
from workers.bus.topology.streams import SIGNED_OUT
from workers.bus.transport.connection import Connection
from workers.failures import SealaneError, Unavailable

log = logging.getLogger(__name__)
LONGEST = timedelta(days=31)
"""Longer than any session is good (`ConsoleSettings.session`)."""
_AGAIN = 1.0
"""Seconds between tries to read the notes for the first time."""
_TIDY_ABOVE = 1000
"""Notes in memory from which on those are looked for that nobody needs any more."""


class SignedOut:
    """Follows the notes. `start()` before, `await close()` after. `clock` counts seconds since 1970."""

    def __init__(self, connection: Connection, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._ledger = ledger
        self._clock = clock
        self._notes: dict[str, Note] = {}
        self._tidy_above = _TIDY_ABOVE
        self._is_read = False
        self._trouble = "the bus is asked for it"
        self._news = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._following = asyncio.create_task(steadily(self._follow, "following who signed out"), name="who signed out")

    async def close(self) -> None:
        """Follow no more."""
        if self._following is not None:
            await ended(self._following)

    def knows(self, ends: Mapping[str, int]) -> bool:
        """Whether one of these names was noted after its revision, as far as is known here.

        While the bus is away that is what was noted before. Raises Unavailable when nothing was read yet.
        """
        if not self._is_read:
            raise Unavailable(f"who signed out is not known yet, try again in a moment ({self._trouble})")
        notes = [(note, after) for name, after in ends.items() if (note := self._notes.get(key_of(name))) is not None]
        # One that is forgotten in the ledger counts for nobody any more: who began since then began at 0.
        return any(note.revision > after and note.until > self._clock() for note, after in notes)

    async def asked(self, ends: Mapping[str, int]) -> bool:
        """Whether one of these names was noted after its revision, as the ledger itself says. Raises Unavailable."""
        for name, after in ends.items():
            if (await self._ledger.look(key_of(name))).revision > after:
                return True
        return False

    async def wait(self, ends: Mapping[str, int]) -> None:
        """Return as soon as one of these names was noted after its revision."""
        while not self.knows(ends):
            await self._news.wait()

    async def revision(self, name: str) -> int:
        """Return what a session that begins now has as `began`. Raises Unavailable."""
        return (await self._ledger.look(key_of(name))).revision

    async def note(self, name: str, *, lifetime: timedelta = LONGEST) -> None:
        """Let all sessions with a name that began before now be over, at every replica. Raises Unavailable."""
        revision = await note_signed_out(self._ledger, name, lifetime=lifetime)
        # Here at once: whoever signed out reads the next page from this very door.
        self._take(Note(key_of(name), revision, self._clock() + lifetime.total_seconds()))

    async def _follow(self) -> None:
        while True:
            position = 0
            try:
                async with aclosing(follow_notes(self._connection, SIGNED_OUT)) as notes:
                    async for note in notes:
                        if note is None:
                            self._is_read = True
                            continue
                        if note.revision <= position:
                            # The ledger began anew, and with it its revisions.
                            self._notes.clear()
                        position = note.revision
                        self._take(note)
            except SealaneError as error:
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    log.warning("who signed out is not followed: %s", error)
                await asyncio.sleep(_AGAIN)

    def _take(self, note: Note) -> None:
        if (known := self._notes.get(note.key)) is not None and known.revision > note.revision:
            return
        self._notes[note.key] = note
        if len(self._notes) > self._tidy_above:
            now = self._clock()
            self._notes = {key: kept for key, kept in self._notes.items() if kept.until > now}
            self._tidy_above = max(_TIDY_ABOVE, 2 * len(self._notes))
        self._news.set()
        self._news = asyncio.Event()


async def note_signed_out(ledger: Ledger, name: str, *, lifetime: timedelta = LONGEST) -> int:
    """Note a name anew and return the revision. Raises Unavailable."""
    key = key_of(name)
    while True:
        row = await ledger.look(key)
        if revision := await ledger.replace(key, b"out", row.revision, ttl=lifetime):
            return revision


def key_of(name: str) -> str:
    """Return the key of a name in the ledger."""
    return f"{SIGNED_OUT}.{digest_of('signed out', name)}"
