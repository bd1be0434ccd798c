"""Attestors.

Follows https://cloud.google.com/binary-authorization/docs/reference/rest/v1/projects.attestors and, for their number,
https://cloud.google.com/binary-authorization/quotas.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from google.cloud.binaryauthorization_v1.types import resources, service
from google.protobuf.empty_pb2 import Empty

from workers.local.google import paging
from workers.local.google.api import Handler
from workers.local.google.binauthz import keys
from workers.local.google.clock import now
from workers.local.google.names import check
from workers.local.google.status import aborted, already_exists, invalid_argument, limit_exceeded, not_found
from workers.local.google.store import Store

KIND = "Attestor"
MOST_ATTESTORS = 200
_Attestor = resources.Attestor.pb()
_ListResponse = service.ListAttestorsResponse.pb()


class Attestors:
    """The attestors in *store*."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {
            "CreateAttestor": self.create,
            "GetAttestor": self.get,
            "ListAttestors": self.listed,
            "UpdateAttestor": self.update,
            "DeleteAttestor": self.delete,
        }

    def create(self, request: Any) -> Any:
        """CreateAttestor. Whether the note exists is not asked: it may be in a project that this one cannot read."""
        parent = check("project", request.parent, "parent")
        name = f"{parent}/attestors/{check('id', request.attestor_id, 'attestor_id')}"
        attestor = _completed(name, request.attestor)
        if self._store.read(KIND, name) is None and self._store.count(KIND, parent) >= MOST_ATTESTORS:
            raise limit_exceeded("binaryauthorization.googleapis.com", f"attestors in {parent}", MOST_ATTESTORS)
        if not self._store.insert(KIND, name, parent, attestor.SerializeToString()):
            raise already_exists(KIND, name)
        return attestor

    def get(self, request: Any) -> Any:
        """GetAttestor."""
        return self.read(request.name)

    def listed(self, request: Any) -> Any:
        """ListAttestors."""
        parent = check("project", request.parent, "parent")
        bodies, token = paging.stored(self._store, KIND, parent, request)
        return _ListResponse(attestors=[_Attestor.FromString(body) for body in bodies], next_page_token=token)

    def update(self, request: Any) -> Any:
        """UpdateAttestor: replaces description and keys. ABORTED when an etag is sent and is not the current one."""
        old = self.read(request.attestor.name, "attestor.name")
        if request.attestor.etag and request.attestor.etag != old.etag:
            raise aborted(old.name)
        attestor = _completed(old.name, request.attestor)
        if attestor.user_owned_grafeas_note.note_reference != old.user_owned_grafeas_note.note_reference:
            raise invalid_argument("The note of an attestor cannot change.", "attestor.user_owned_grafeas_note")
        self._store.write(KIND, old.name, attestor.SerializeToString())
        return attestor

    def delete(self, request: Any) -> Any:
        """DeleteAttestor."""
        if not self._store.remove(KIND, check("attestor", request.name)):
            raise not_found(KIND, request.name)
        return Empty()

    def read(self, name: str, field: str = "name") -> Any:
        """Return the attestor *name*. Raises NOT_FOUND."""
        body = self._store.read(KIND, check("attestor", name, field))
        if body is None:
            raise not_found(KIND, name)
        return _Attestor.FromString(body)


def etag_of(message: Any) -> str:
    """Return a strong etag of a message without its etag."""
    content = message.SerializeToString(deterministic=True)
    return '"' + base64.b64encode(hashlib.sha256(content).digest()[:12]).decode() + '"'


def _completed(name: str, given: Any) -> Any:
    """Return the attestor to keep, from what a caller gave."""
    if not given.HasField("user_owned_grafeas_note"):
        raise invalid_argument("The attestor has no note; set user_owned_grafeas_note.", "attestor")
    attestor = _Attestor()
    attestor.CopyFrom(given)
    note = attestor.user_owned_grafeas_note
    check("note", note.note_reference, "attestor.user_owned_grafeas_note.note_reference")
    keys.complete(note.public_keys)
    # The cloud shows the project's own service agent; its number is made from the project's name here.
    number = int.from_bytes(hashlib.sha256(name.split("/")[1].encode()).digest()[:5]) % 10**12
    note.delegation_service_account_email = f"service-{number:012d}@gcp-sa-binaryauthorization.iam.gserviceaccount.com"
    attestor.name = name
    attestor.update_time.CopyFrom(now())
    attestor.ClearField("etag")
    attestor.etag = etag_of(attestor)
    return attestor
