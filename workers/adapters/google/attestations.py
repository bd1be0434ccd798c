"""Attestations on Artifact Analysis: https://cloud.google.com/artifact-analysis/docs/reference/rpc (Grafeas v1)."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from workers.adapters.google.connection import GRAFEAS, GoogleConnection
from workers.adapters.google.errors import Errand
from workers.failures import Invalid, NotFound
from workers.ports import Attestation

CALL_SECONDS = 10.0
PAGE_SIZE = 1000
"""The most that one answer may hold; 20 is what it holds unless asked."""
READ_LAG = timedelta(seconds=5)
"""Lists were seen to lag some seconds behind creations."""
_VIEWER = "roles/containeranalysis.notes.occurrences.viewer"
_EDITOR = "roles/containeranalysis.occurrences.editor"
_UNKNOWN = datetime.max.replace(tzinfo=UTC)


class GrafeasAttestations:
    """Attestation occurrences; one with several signatures is several attestations of the same name."""

    def __init__(self, google: GoogleConnection, *, read_lag: timedelta = READ_LAG) -> None:
        self._google = google
        self.read_lag = read_lag

    async def find(self, note: str, digest: str) -> tuple[Attestation, ...]:
        """Return all attestations of the note about the digest, oldest first, with or without scheme, all pages."""
        listed = self._listed(note, f'has_suffix(resourceUrl, "{digest}")')
        found = [one async for one in listed if one.digest == digest]
        return tuple(sorted(found, key=lambda one: (one.created_at or _UNKNOWN, one.name or "")))

    async def get(self, name: str) -> tuple[Attestation, ...]:
        """Return the attestations of the occurrence. Raises Invalid when it is one of another kind."""
        errand = _errand("read", name, "occurrences.get", _EDITOR, "write projects/PROJECT/occurrences/ID")
        await self._google.prepare(GRAFEAS)
        found = await self._google.call(GRAFEAS, "get_occurrence", {"name": name}, errand=errand, timeout=CALL_SECONDS)
        if found.kind.name != "ATTESTATION":
            raise Invalid(f"{name} is no attestation, it is an occurrence of kind {found.kind.name}: leave it alone")
        return _attestations(found)

    async def of_note(self, note: str, *, since: datetime | None = None) -> AsyncIterator[Attestation]:
        """Yield all attestations of the note, page by page. The service cannot filter by time, so it is done here."""
        async for one in self._listed(note):
            if since is None or one.created_at is None or one.created_at >= since:
                yield one

    async def create(self, project: str, attestation: Attestation, *, timeout: float) -> Attestation:
        """Store the attestation. Raises Unavailable also when the service says that it exists already."""
        occurrence = {
            "kind": "ATTESTATION",
            "note_name": attestation.note,
            "resource_uri": attestation.resource_uri,
            "attestation": {
                "serialized_payload": attestation.payload,
                "signatures": [{"public_key_id": attestation.key_id, "signature": attestation.signature}],
            },
        }
        errand = _errand(
            f"attach to {attestation.note} an attestation in",
            project,
            f"occurrences.create, and containeranalysis.notes.attachOccurrence on {attestation.note}",
            _EDITOR,
            remedy=f"check that {attestation.note} is the note of an attestation authority",
        )
        stored = await self._google.call(
            GRAFEAS,
            "create_occurrence",
            {"parent": project, "occurrence": occurrence},
            errand=errand,
            timeout=timeout,
        )
        (attested,) = _attestations(stored)
        return attested

    async def delete(self, name: str) -> None:
        """Remove the occurrence; gone already is fine."""
        errand = _errand("delete", name, "occurrences.delete", _EDITOR)
        try:
            await self._google.call(GRAFEAS, "delete_occurrence", {"name": name}, errand=errand, timeout=CALL_SECONDS)
        except NotFound:
            return

    async def _listed(self, note: str, only: str = "") -> AsyncIterator[Attestation]:
        """Yield what ListNoteOccurrences lists, all pages of it."""
        request = {"name": note, "filter": only, "page_size": PAGE_SIZE}
        errand = _errand("list the attestations of", note, "notes.listOccurrences", _VIEWER)
        await self._google.prepare(GRAFEAS)
        while True:
            page = await self._google.call(
                GRAFEAS, "list_note_occurrences", request, errand=errand, timeout=CALL_SECONDS
            )
            for occurrence in page.occurrences:
                for one in _attestations(occurrence):
                    yield one
            if not page.next_page_token:
                return
            request["page_token"] = page.next_page_token


def _attestations(occurrence: Any) -> tuple[Attestation, ...]:
    return tuple(
        Attestation(
            note=occurrence.note_name,
            resource_uri=occurrence.resource_uri,
            payload=bytes(occurrence.attestation.serialized_payload),
            key_id=signature.public_key_id,
            signature=bytes(signature.signature),
            name=occurrence.name,
            created_at=occurrence.create_time,
        )
        for signature in occurrence.attestation.signatures
    )


def _errand(doing: str, resource: str, permission: str, role: str, remedy: str = "check its name") -> Errand:
    return Errand(GRAFEAS.title, doing, resource, f"containeranalysis.{permission}", role, remedy)
