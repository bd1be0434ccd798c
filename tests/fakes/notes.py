"""Artifact Analysis in memory, as the place of notes."""

from workers.failures import Denied, Invalid, NotFound, Unavailable
from workers.ports import Note


class FakeNotes:
    """Keeps notes; those of a project in `closed` may be neither seen nor made."""

    def __init__(self, *notes: Note, closed: frozenset[str] = frozenset()) -> None:
        self.notes = {note.name: note for note in notes}
        self.closed = closed
        """Projects, `projects/P`."""

    async def get(self, name: str) -> Note:
        """Return the note."""
        self._require_open(name)
        if name not in self.notes:
            raise NotFound(f"there is no note {name}")
        return self.notes[name]

    async def create(self, note: Note, *, timeout: float) -> Note:
        """Keep the note."""
        self._require_open(note.name)
        if not note.hint:
            raise Invalid(f"the note {note.name} has no hint")
        if note.name in self.notes:
            raise Unavailable(f"the note {note.name} exists already")
        self.notes[note.name] = Note(note.name, "ATTESTATION", note.hint)
        return self.notes[note.name]

    def _require_open(self, name: str) -> None:
        project = name.partition("/notes/")[0]
        if project in self.closed:
            raise Denied(f"the notes of {project} are not for us: {name}")
