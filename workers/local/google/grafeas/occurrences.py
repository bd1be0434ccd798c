"""Occurrences and the occurrences of a note.

Follows https://cloud.google.com/artifact-analysis/docs/reference/rest/v1/projects.occurrences.
Lists answer in order of creation, and may lag behind creation as tests ask (`Faults.lag`).
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.empty_pb2 import Empty
from grafeas.grafeas_v1.types import grafeas

from workers.local.google.api import Handler
from workers.local.google.clock import now
from workers.local.google.faults import Faults
from workers.local.google.grafeas.filters import Term, conditions, parse
from workers.local.google.grafeas.notes import NoteKind, Notes, kind_of, merged
from workers.local.google.names import check
from workers.local.google.paging import page
from workers.local.google.status import ApiError, invalid_argument, not_found
from workers.local.google.store import Store
from workers.local.google.transcode import check_representable

KIND = "Occurrence"
_Occurrence = grafeas.Occurrence.pb()
_MOST_IN_A_BATCH = 1000
_FIXED = frozenset({"name", "kind", "note_name", "create_time", "update_time"})


class Occurrences:
    """The occurrences in *store*, each of one of *notes*."""

    def __init__(self, store: Store, notes: Notes, faults: Faults) -> None:
        self._store = store
        self._notes = notes
        self._faults = faults

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {
            "CreateOccurrence": self.create,
            "BatchCreateOccurrences": self.create_batch,
            "GetOccurrence": self.get,
            "ListOccurrences": self.listed,
            "ListNoteOccurrences": self.listed_of_note,
            "UpdateOccurrence": self.update,
            "DeleteOccurrence": self.delete,
            "GetOccurrenceNote": self.note,
        }

    def create(self, request: Any) -> Any:
        """CreateOccurrence."""
        parent = check("scope", request.parent, "parent")
        with self._store.transaction():
            return self._add(parent, request.occurrence)

    def create_batch(self, request: Any) -> Any:
        """BatchCreateOccurrences: all or none."""
        parent = check("scope", request.parent, "parent")
        if not 0 < len(request.occurrences) <= _MOST_IN_A_BATCH:
            count = len(request.occurrences)
            raise invalid_argument(f"occurrences holds {count} occurrences; it must hold 1 to 1000.", "occurrences")
        answer = grafeas.BatchCreateOccurrencesResponse.pb()()
        with self._store.transaction():
            answer.occurrences.extend(self._add(parent, occurrence) for occurrence in request.occurrences)
        return answer

    def get(self, request: Any) -> Any:
        """GetOccurrence."""
        return self._read(request.name, self._faults.get_lag)

    def note(self, request: Any) -> Any:
        """GetOccurrenceNote."""
        return self._notes.read(self._read(request.name).note_name)

    def listed(self, request: Any) -> Any:
        """ListOccurrences: 20 a page unless asked otherwise, 1000 at most."""
        answer = grafeas.ListOccurrencesResponse.pb()()
        return self._list(request, answer, "parent", check("scope", request.parent, "parent"))

    def listed_of_note(self, request: Any) -> Any:
        """ListNoteOccurrences: the occurrences of a note, whichever project they are in."""
        note = self._notes.read(request.name).name
        return self._list(request, grafeas.ListNoteOccurrencesResponse.pb()(), "note", note)

    def update(self, request: Any) -> Any:
        """UpdateOccurrence; its note and kind stay."""
        old = self._read(request.name)
        occurrence = merged(old, request.occurrence, request.update_mask, _FIXED)
        if kind_of(occurrence, "details", "occurrence") != old.kind:
            raise invalid_argument("The kind of an occurrence cannot change.", "occurrence")
        _check(occurrence)
        occurrence.update_time.CopyFrom(now())
        resource = occurrence.resource_uri
        self._store.execute(
            "UPDATE occurrences SET resource = ?, reversed = ?, fingerprint = ?, body = ? WHERE name = ?",
            (resource, resource[::-1], _fingerprint(occurrence), occurrence.SerializeToString(), occurrence.name),
        )
        return occurrence

    def delete(self, request: Any) -> Any:
        """DeleteOccurrence."""
        name = check("occurrence", request.name)
        if self._store.execute("DELETE FROM occurrences WHERE name = ?", (name,)).rowcount == 0:
            raise not_found(KIND, name)
        return Empty()

    def _read(self, name: str, lag: float = 0.0) -> Any:
        check("occurrence", name)
        row = self._store.execute("SELECT body, created FROM occurrences WHERE name = ?", (name,)).fetchone()
        if row is None or row[1] > time.time() - lag:
            raise not_found(KIND, name)
        return _Occurrence.FromString(row[0])

    def _list(self, request: Any, answer: Any, column: str, value: str) -> Any:
        scope = f"{column}|{value}|{request.filter}"
        wanted = page(scope, size=request.page_size, token=request.page_token, default=20)
        terms = parse(request.filter)
        # The plus keeps SQLite from using an index: a resource is far more selective than a note or a project.
        plus = "+" if any(term.field == "resource" for term in terms) else ""
        clauses: list[tuple[str, tuple[object, ...]]] = [
            (f"{plus}{column} = ?", (value,)),
            (f"{plus}seq > ?", (wanted.after,)),
            *conditions(terms),
        ]
        if self._faults.list_lag:
            clauses.append(("created <= ?", (time.time() - self._faults.list_lag,)))
        where = " AND ".join(sql for sql, _ in clauses)
        statement = f"SELECT seq, body FROM occurrences WHERE {where} ORDER BY {plus}seq LIMIT ?"  # noqa: S608 - no input in the text
        parameters = tuple(parameter for _, parameters in clauses for parameter in parameters)
        rows = self._store.execute(statement, (*parameters, wanted.size + 1)).fetchall()
        answer.occurrences.extend(_Occurrence.FromString(body) for _, body in rows[: wanted.size])
        if len(rows) > wanted.size:
            answer.next_page_token = wanted.next_token(rows[wanted.size - 1][0])
        return answer

    def _add(self, parent: str, given: Any) -> Any:
        note = self._notes.read(given.note_name, "occurrence.note_name")
        occurrence = _Occurrence()
        occurrence.CopyFrom(given)
        kind = kind_of(occurrence, "details", "occurrence")
        if kind != note.kind:
            raise invalid_argument(
                f"The occurrence is of kind {NoteKind(kind).name}, but {note.name} is of kind "
                f"{NoteKind(note.kind).name}.",
                "occurrence.note_name",
            )
        _check(occurrence)
        fingerprint = _fingerprint(occurrence)
        self._refuse_conflict(parent, occurrence, fingerprint)
        occurrence.name = f"{parent}/occurrences/{uuid.uuid4()}"
        occurrence.kind = kind
        occurrence.create_time.CopyFrom(now())
        occurrence.update_time.CopyFrom(occurrence.create_time)
        self._insert(parent, occurrence, fingerprint)
        return occurrence

    def _insert(self, parent: str, occurrence: Any, fingerprint: bytes) -> None:
        columns = "name, parent, note, kind, resource, reversed, fingerprint, created, body"
        resource, kind = occurrence.resource_uri, NoteKind(occurrence.kind).name
        self._store.execute(
            f"INSERT INTO occurrences ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - columns is above
            (
                occurrence.name,
                parent,
                occurrence.note_name,
                kind,
                resource,
                resource[::-1],
                fingerprint,
                occurrence.create_time.ToNanoseconds() / 1e9,
                occurrence.SerializeToString(),
            ),
        )

    def _refuse_conflict(self, parent: str, occurrence: Any, fingerprint: bytes) -> None:
        when = self._faults.conflict
        if when == "never" or not occurrence.HasField("attestation"):
            return
        rows = self._store.execute(
            "SELECT name, fingerprint FROM occurrences WHERE resource = ? AND +note = ? AND +parent = ?",
            (occurrence.resource_uri, occurrence.note_name, parent),
        )
        for name, other in rows:
            if when == "resource" or other == fingerprint:
                occurrence_id = name.rsplit("/", 1)[1]
                raise ApiError("ALREADY_EXISTS", f'occurrence ID "{occurrence_id}" already exists in {parent}.')


def attestations_of(store: Store, note: str, digest: str) -> Iterator[Any]:
    """Yield the attestations of *note*, in any project, whose resource ends in @*digest*, in order of creation."""
    asked = conditions([Term("resource", "suffix", f"@{digest}"), Term("kind", "equal", "ATTESTATION")])
    where = " AND ".join(sql for sql, _ in asked)
    parameters = tuple(parameter for _, parameters in asked for parameter in parameters)
    statement = f"SELECT body FROM occurrences WHERE {where} AND +note = ? ORDER BY +seq"  # noqa: S608 - no input in the text
    for (body,) in store.execute(statement, (*parameters, note)).fetchall():
        yield _Occurrence.FromString(body)


def _check(occurrence: Any) -> None:
    if not occurrence.resource_uri:
        raise invalid_argument("resource_uri is empty; it is required.", "occurrence.resource_uri")
    if not occurrence.HasField("attestation"):
        check_representable(occurrence, "occurrence")
        return
    attestation = occurrence.attestation
    if not attestation.serialized_payload:
        raise invalid_argument(
            "attestation.serialized_payload is empty; it is required.", "occurrence.attestation.serialized_payload"
        )
    if not attestation.signatures and not attestation.jwts:
        raise invalid_argument(
            "attestation.signatures is empty; an attestation carries at least one.", "occurrence.attestation.signatures"
        )


def _fingerprint(occurrence: Any) -> bytes:
    content = occurrence.attestation.SerializeToString(deterministic=True)
    return hashlib.sha256(occurrence.note_name.encode() + b"\0" + content).digest()
