"""Attestors for administrators: https://cloud.google.com/binary-authorization/docs/reference/rpc.

Nothing is cached and nothing repeated: an etag guards every update (https://google.aip.dev/154).
"""

from typing import Any

from workers.adapters.google.connection import BINAUTHZ, GoogleConnection
from workers.adapters.google.errors import Errand
from workers.adapters.google.public_keys import read_key, written_key
from workers.failures import Invalid, NotFound
from workers.ports import AttestorRecord

CALL_SECONDS = 10.0
PAGE_SIZE = 1000
"""The service may send fewer in a page, never more."""
_VIEWER = "roles/binaryauthorization.attestorsViewer"
_EDITOR = "roles/binaryauthorization.attestorsEditor"
_KEYS = "check that each key is a public key of the algorithm it is listed with, and that there are at most 1,000"


class BinauthzAttestorAdmin:
    """Binary Authorization's attestors, named `projects/P/attestors/A`."""

    def __init__(self, google: GoogleConnection) -> None:
        self._google = google

    async def list(self, project: str) -> tuple[AttestorRecord, ...]:
        """Ask ListAttestors, for all pages."""
        request: dict[str, Any] = {"parent": project, "page_size": PAGE_SIZE}
        errand = _errand("list the attestors of", project, "list", _VIEWER, "write projects/PROJECT")
        await self._google.prepare(BINAUTHZ)
        found: tuple[AttestorRecord, ...] = ()
        while True:
            page = await self._google.call(BINAUTHZ, "list_attestors", request, errand=errand, timeout=CALL_SECONDS)
            found += tuple(map(_record, page.attestors))
            if not page.next_page_token:
                return tuple(sorted(found, key=lambda attestor: attestor.name))
            request["page_token"] = page.next_page_token

    async def read(self, name: str) -> AttestorRecord:
        """Ask GetAttestor."""
        errand = _errand("read the attestor", name, "get", _VIEWER, "write projects/PROJECT/attestors/ATTESTOR")
        await self._google.prepare(BINAUTHZ)
        answer = await self._google.call(BINAUTHZ, "get_attestor", {"name": name}, errand=errand, timeout=CALL_SECONDS)
        return _record(answer)

    async def create(self, attestor: AttestorRecord, *, timeout: float) -> AttestorRecord:
        """Ask CreateAttestor."""
        parent, _, attestor_id = attestor.name.rpartition("/attestors/")
        message = _message(attestor)
        del message["name"]  # it is made of parent and id
        answer = await self._google.call(
            BINAUTHZ,
            "create_attestor",
            {"parent": parent, "attestor_id": attestor_id, "attestor": message},
            errand=_errand("make the attestor", attestor.name, "create", _EDITOR, _KEYS),
            timeout=timeout,
        )
        return _record(answer)

    async def update(self, attestor: AttestorRecord, *, timeout: float) -> AttestorRecord:
        """Ask UpdateAttestor. Raises Invalid without an etag: it would undo what others did."""
        if not attestor.etag:
            raise Invalid(f"the attestor {attestor.name} carries no etag: read it before it is updated")
        answer = await self._google.call(
            BINAUTHZ,
            "update_attestor",
            {"attestor": _message(attestor)},
            errand=_errand("update the attestor", attestor.name, "update", _EDITOR, _KEYS),
            timeout=timeout,
        )
        return _record(answer)

    async def delete(self, name: str) -> None:
        """Ask DeleteAttestor; gone already is fine."""
        errand = _errand("remove the attestor", name, "delete", _EDITOR, "write projects/PROJECT/attestors/ATTESTOR")
        await self._google.prepare(BINAUTHZ)
        try:
            await self._google.call(BINAUTHZ, "delete_attestor", {"name": name}, errand=errand, timeout=CALL_SECONDS)
        except NotFound:
            return


def _record(answer: Any) -> AttestorRecord:
    note = answer.user_owned_grafeas_note
    return AttestorRecord(
        name=answer.name,
        note=note.note_reference,
        keys=tuple(map(read_key, note.public_keys)),
        description=answer.description,
        etag=answer.etag,
        service_account=note.delegation_service_account_email,
    )


def _message(attestor: AttestorRecord) -> dict[str, Any]:
    keys = [written_key(key) for key in attestor.keys]
    return {
        "name": attestor.name,
        "description": attestor.description,
        "etag": attestor.etag,
        "user_owned_grafeas_note": {"note_reference": attestor.note, "public_keys": keys},
    }


def _errand(doing: str, resource: str, verb: str, role: str, remedy: str) -> Errand:
    return Errand(BINAUTHZ.title, doing, resource, f"binaryauthorization.attestors.{verb}", role, remedy)
