"""What was let in lately: so that whoever brought an event finds its run before any worker has said a word of it.

Kept in this process. At another replica of the door such a run is unknown until then.
"""

from collections import OrderedDict

from schemas.progress import EventRef
from workers.bus.doors.entrance import Entered

_MOST = 20_000
"""Events; about 400 bytes each."""
_Kept = tuple[str | None, str, str, str, str | None, str, int]


class Recent:
    """The last events that were let in, by their run."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def note(self, entered: Entered) -> None:
        """Remember an event that opened a run."""
        envelope, ack = entered.entry.envelope, entered.ack
        if len(self._kept) >= _MOST:
            self._kept.popitem(last=False)
        about = envelope.type, envelope.source, envelope.id, envelope.subject
        self._kept[envelope.run] = (envelope.actor, *about, ack.stream, ack.sequence)

    def opened(self, run: str, actor: str) -> EventRef | None:
        """Return the event which opened a run, if it was this actor's."""
        kept = self._kept.get(run)
        if kept is None or kept[0] != actor:
            return None
        _, event_type, source, event_id, subject, stream, sequence = kept
        return EventRef(type=event_type, source=source, id=event_id, subject=subject, stream=stream, sequence=sequence)
