"""What was let in lately: so that whoever brought an event finds its run before any worker has said a word of it.

Kept in the memory of the replica that let it in, which the others ask when they are asked and do not know. What a
replica knew is gone with it: then the run is unknown until the first word of a worker.
"""

from collections import OrderedDict

from pydantic import BaseModel, ValidationError

from schemas.progress import EventRef
from workers.bus.doors.entrance import Entered
from workers.bus.doors.peers import Peers
from workers.bus.transport.connection import Connection

MOST = 20_000
"""Events; about 600 bytes each."""
_Kept = tuple[str, str, str, str, str | None, str, int]


class Opened(BaseModel):
    """A run, and the event that opened it."""

    run: str
    event: EventRef


class _Asked(BaseModel):
    """Which run of an actor: by its id, or by that of the event that opened it."""

    actor: str
    run: str | None = None
    event_id: str | None = None


class Recent:
    """The last events that were let in, by their run. `await start()` before, `await close()` after."""

    def __init__(self, connection: Connection) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._runs: dict[tuple[str, str], str] = {}
        """Actor and id of an event → the newest run that such a one opened."""
        self._peers = Peers(connection, self._answer)

    async def start(self) -> None:
        """Begin to answer other replicas."""
        await self._peers.start()

    async def close(self) -> None:
        """Answer no more."""
        await self._peers.close()

    def note(self, entered: Entered) -> None:
        """Remember an event that opened a run."""
        envelope, ack = entered.entry.envelope, entered.ack
        actor = envelope.actor or ""
        about = envelope.type, envelope.source, envelope.id, envelope.subject
        self._forget(envelope.run)
        self._kept[envelope.run] = (actor, *about, ack.stream, ack.sequence)
        self._runs[actor, envelope.id] = envelope.run
        if len(self._kept) > MOST:
            self._forget(next(iter(self._kept)))

    def _forget(self, run: str) -> None:
        kept = self._kept.pop(run, None)
        if kept is not None and self._runs.get((kept[0], kept[3])) == run:
            del self._runs[kept[0], kept[3]]

    async def opened(self, actor: str, *, run: str | None = None, event_id: str | None = None) -> Opened | None:
        """Return a run that an actor's event opened, found by its id or by that of the event; at any replica."""
        asked = _Asked(actor=actor, run=run, event_id=event_id)
        if (found := self._find(asked)) is not None:
            return found
        answer = await self._peers.ask(asked.model_dump_json().encode())
        return None if answer is None else Opened.model_validate_json(answer)

    def _find(self, asked: _Asked) -> Opened | None:
        run = asked.run or self._runs.get((asked.actor, asked.event_id or ""), "")
        kept = self._kept.get(run)
        if kept is None or kept[0] != asked.actor:
            return None
        _, event_type, source, event_id, subject, stream, sequence = kept
        event = EventRef(type=event_type, source=source, id=event_id, subject=subject, stream=stream, sequence=sequence)
        return Opened(run=run, event=event)

    def _answer(self, question: bytes) -> bytes | None:
        """Answer another replica; one of a later version may ask what this one does not understand."""
        try:
            found = self._find(_Asked.model_validate_json(question))
        except ValidationError:
            return None
        return None if found is None else found.model_dump_json().encode()
