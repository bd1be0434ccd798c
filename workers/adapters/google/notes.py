"""Notes of attestation authorities: https://cloud.google.com/artifact-analysis/docs/reference/rpc (Grafeas v1)."""

from typing import Any

from workers.adapters.google.connection import GRAFEAS, GoogleConnection
from workers.adapters.google.errors import Errand
from workers.ports import Note

CALL_SECONDS = 10.0
_VIEWER = "roles/containeranalysis.notes.viewer"
_EDITOR = "roles/containeranalysis.notes.editor"


class GrafeasNotes:
    """Artifact Analysis's notes, named `projects/P/notes/N`."""

    def __init__(self, google: GoogleConnection) -> None:
        self._google = google

    async def get(self, name: str) -> Note:
        """Ask GetNote."""
        await self._google.prepare(GRAFEAS)
        errand = _errand("read the note", name, "get", _VIEWER, "write projects/PROJECT/notes/NOTE")
        answer = await self._google.call(GRAFEAS, "get_note", {"name": name}, errand=errand, timeout=CALL_SECONDS)
        return _note(answer)

    async def create(self, note: Note, *, timeout: float) -> Note:
        """Ask CreateNote."""
        parent, _, note_id = note.name.rpartition("/notes/")
        content = {"kind": "ATTESTATION", "attestation": {"hint": {"human_readable_name": note.hint}}}
        answer = await self._google.call(
            GRAFEAS,
            "create_note",
            {"parent": parent, "note_id": note_id, "note": content},
            errand=_errand(
                "make the note", note.name, "create", _EDITOR, "give it a hint, and write projects/PROJECT/notes/NOTE"
            ),
            timeout=timeout,
        )
        return _note(answer)


def _note(answer: Any) -> Note:
    return Note(name=answer.name, kind=answer.kind.name, hint=answer.attestation.hint.human_readable_name)


def _errand(doing: str, resource: str, verb: str, role: str, remedy: str) -> Errand:
    return Errand(GRAFEAS.title, doing, resource, f"containeranalysis.notes.{verb}", role, remedy)
