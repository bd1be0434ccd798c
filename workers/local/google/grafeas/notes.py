"""Notes; `kind` follows from the type that is set.

Follows https://cloud.google.com/artifact-analysis/docs/reference/rest/v1/projects.notes. Left out: IAM.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.empty_pb2 import Empty
from grafeas.grafeas_v1.types import common, grafeas

from workers.local.google.api import Handler
from workers.local.google.clock import now
from workers.local.google.enums import name_of
from workers.local.google.grafeas.filters import Term, parse
from workers.local.google.masks import check_mask
from workers.local.google.names import check
from workers.local.google.paging import page
from workers.local.google.status import already_exists, invalid_argument, not_found
from workers.local.google.store import Store
from workers.local.google.transcode import check_representable

KIND = "Note"
NoteKind = common.NoteKind
_NoteKinds = grafeas.Note.pb().DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_name
_Note = grafeas.Note.pb()
_ListResponse = grafeas.ListNotesResponse.pb()
_BatchResponse = grafeas.BatchCreateNotesResponse.pb()
_MOST_IN_A_BATCH = 1000
_FIXED = frozenset({"name", "kind", "create_time", "update_time"})


class Notes:
    """The notes in *store*."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {
            "CreateNote": self.create,
            "BatchCreateNotes": self.create_batch,
            "GetNote": self.get,
            "ListNotes": self.listed,
            "UpdateNote": self.update,
            "DeleteNote": self.delete,
        }

    def create(self, request: Any) -> Any:
        """CreateNote."""
        return self._add(check("scope", request.parent, "parent"), request.note_id, request.note)

    def create_batch(self, request: Any) -> Any:
        """BatchCreateNotes: all or none."""
        parent = check("scope", request.parent, "parent")
        if not 0 < len(request.notes) <= _MOST_IN_A_BATCH:
            raise invalid_argument(f"notes holds {len(request.notes)} notes; it must hold 1 to 1000.", "notes")
        with self._store.transaction():
            return _BatchResponse(notes=[self._add(parent, note_id, note) for note_id, note in request.notes.items()])

    def get(self, request: Any) -> Any:
        """GetNote."""
        return self.read(request.name)

    def listed(self, request: Any) -> Any:
        """ListNotes: 20 a page unless asked otherwise; the only filter is by kind."""
        parent = check("scope", request.parent, "parent")
        kinds = [_kind(term) for term in parse(request.filter)]
        scope = f"{KIND}|{parent}|{request.filter}"
        wanted = page(scope, size=request.page_size, token=request.page_token, default=20)
        answer, after = _ListResponse(), wanted.after
        while rows := self._store.page(KIND, parent, after, wanted.size + 1):
            for seq, body in rows:
                note = _Note.FromString(body)
                if any(NoteKind(note.kind).name != kind for kind in kinds):
                    continue
                if len(answer.notes) == wanted.size:
                    answer.next_page_token = wanted.next_token(after)
                    return answer
                answer.notes.append(note)
                after = seq
            after = rows[-1][0]
        return answer

    def update(self, request: Any) -> Any:
        """UpdateNote."""
        note = self.read(request.name)
        changed = merged(note, request.note, request.update_mask, _FIXED)
        if changed.WhichOneof("type") != note.WhichOneof("type"):
            raise invalid_argument("The type of a note cannot change.", "note")
        check_representable(changed, "note")
        changed.update_time.CopyFrom(now())
        self._store.write(KIND, changed.name, changed.SerializeToString())
        return changed

    def delete(self, request: Any) -> Any:
        """DeleteNote. Its occurrences stay, as in the cloud."""
        if not self._store.remove(KIND, check("note", request.name)):
            raise not_found(KIND, request.name)
        return Empty()

    def read(self, name: str, field: str = "name") -> Any:
        """Return the note *name*. Raises NOT_FOUND."""
        body = self._store.read(KIND, check("note", name, field))
        if body is None:
            raise not_found(KIND, name)
        return _Note.FromString(body)

    def _add(self, parent: str, note_id: str, given: Any) -> Any:
        name = f"{parent}/notes/{check('id', note_id, 'note_id')}"
        note = _Note()
        note.CopyFrom(given)
        kind = kind_of(note, "type", "note")
        if kind == NoteKind.ATTESTATION and not note.attestation.hint.human_readable_name:
            raise invalid_argument(
                "attestation.hint.human_readable_name is empty; it is required.",
                "note.attestation.hint.human_readable_name",
            )
        note.name, note.kind = name, kind
        check_representable(note, "note")
        note.create_time.CopyFrom(now())
        note.update_time.CopyFrom(note.create_time)
        if not self._store.insert(KIND, name, parent, note.SerializeToString()):
            raise already_exists(KIND, name)
        return note


def kind_of(message: Any, oneof: str, field: str) -> int:
    """Return the NoteKind that belongs to the detail set in *message*, a note or an occurrence.

    Raises INVALID_ARGUMENT when none is set or `kind` says something else.
    """
    detail = message.WhichOneof(oneof)
    if detail is None:
        raise invalid_argument(f"{field} has no details; set one, such as attestation.", field)
    kind = int(_NoteKinds[detail.upper()].number)
    if message.kind not in (0, kind):
        said = name_of(NoteKind, message.kind, f"{field}.kind")
        raise invalid_argument(
            f"{field}.kind is {said}, but its details are of kind {detail.upper()}.", f"{field}.kind"
        )
    return kind


def merged(old: Any, new: Any, mask: Any, fixed: frozenset[str]) -> Any:
    """*old* with the fields of *new* that *mask* names (all of them when it is empty), *fixed* ones kept."""
    check_mask(mask, old, set(old.DESCRIPTOR.fields_by_name) - fixed)
    changed = type(old)()
    if mask.paths:
        changed.CopyFrom(old)
        mask.MergeMessage(new, changed, True, True)
        return changed
    changed.CopyFrom(new)
    for field in fixed:
        changed.ClearField(field)
        if old.DESCRIPTOR.fields_by_name[field].message_type is not None:
            getattr(changed, field).CopyFrom(getattr(old, field))
        else:
            setattr(changed, field, getattr(old, field))
    return changed


def _kind(term: Term) -> str:
    if term.field != "kind":
        raise invalid_argument(f"Notes cannot be filtered by {term.field}; only by kind.", "filter")
    return term.value
