"""Key rings, which can never be deleted.

Follows https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.
Left out: filters and orders of lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.cloud.kms_v1.types import resources, service

from workers.local.google import paging
from workers.local.google.api import Handler
from workers.local.google.clock import now
from workers.local.google.names import check
from workers.local.google.status import already_exists, not_found, unimplemented
from workers.local.google.store import Store

KIND = "KeyRing"
_KeyRing = resources.KeyRing.pb()
_ListResponse = service.ListKeyRingsResponse.pb()


class Rings:
    """The key rings in *store*."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {"CreateKeyRing": self.create, "GetKeyRing": self.get, "ListKeyRings": self.listed}

    def create(self, request: Any) -> Any:
        """CreateKeyRing."""
        parent = check("location", request.parent, "parent")
        name = f"{parent}/keyRings/{check('key id', request.key_ring_id, 'key_ring_id')}"
        ring = _KeyRing(name=name, create_time=now())
        if not self._store.insert(KIND, name, parent, ring.SerializeToString()):
            raise already_exists(KIND, name)
        return ring

    def get(self, request: Any) -> Any:
        """GetKeyRing."""
        name = check("key ring", request.name)
        body = self._store.read(KIND, name)
        if body is None:
            raise not_found(KIND, name)
        return _KeyRing.FromString(body)

    def listed(self, request: Any) -> Any:
        """ListKeyRings."""
        refuse_filters(request)
        parent = check("location", request.parent, "parent")
        bodies, token = paging.stored(self._store, KIND, parent, request)
        answer = _ListResponse(total_size=self._store.count(KIND, parent), next_page_token=token)
        answer.key_rings.extend(_KeyRing.FromString(body) for body in bodies)
        return answer


def refuse_filters(request: Any) -> None:
    """Raise UNIMPLEMENTED for a filter or an order: KMS lists here know none, and ignoring one would mislead."""
    if request.filter or request.order_by:
        raise unimplemented("filter or order_by in a list of Cloud KMS")
