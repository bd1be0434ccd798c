"""Long-running operations (google.longrunning.Operations), one set for all services of this server.

Follows https://google.aip.dev/151. What an operation stands for is done before the call that began it is answered; its
first answer says `done: false` all the same, as in the cloud, so that every client really asks again by name. Over
gRPC the name alone tells whose operation it is, hence the one set. Left out: cancelling, and filters of lists.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf.empty_pb2 import Empty

from workers.local.google import paging
from workers.local.google.api import Handler
from workers.local.google.names import check
from workers.local.google.status import ApiError, not_found, unimplemented
from workers.local.google.store import Store

KIND = "Operation"
SERVICE = "/google.longrunning.Operations/"
_Operation = operations_pb2.Operation


class Operations:
    """The operations in *store*."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {
            "GetOperation": self.get,
            "WaitOperation": self.get,
            "ListOperations": self.listed,
            "DeleteOperation": self.delete,
        }

    def begin(self, location: str, *, metadata: Any, response: Any, error: ApiError | None = None) -> Any:
        """Keep the end of an operation (its *error*, or its *response*) and return how it looked at the beginning.

        *location* is projects/*/locations/*.
        """
        operation = _Operation(name=f"{location}/operations/{uuid.uuid4()}")
        operation.metadata.Pack(metadata)
        begun = _Operation()
        begun.CopyFrom(operation)
        self._store.insert(KIND, operation.name, location, ended(operation, response, error).SerializeToString())
        return begun

    def get(self, request: Any) -> Any:
        """GetOperation, and WaitOperation, which never has to wait here."""
        body = self._store.read(KIND, check("operation", request.name))
        if body is None:
            raise not_found(KIND, request.name)
        return _Operation.FromString(body)

    def listed(self, request: Any) -> Any:
        """ListOperations of a location."""
        if request.filter:
            raise unimplemented("A filter of operations")
        parent = check("location", request.name)
        bodies, token = paging.stored(self._store, KIND, parent, request)
        found = [_Operation.FromString(body) for body in bodies]
        return operations_pb2.ListOperationsResponse(operations=found, next_page_token=token)

    def delete(self, request: Any) -> Any:
        """DeleteOperation: forgets the result."""
        if not self._store.remove(KIND, check("operation", request.name)):
            raise not_found(KIND, request.name)
        return Empty()


def ended(operation: Any, response: Any, error: ApiError | None = None) -> Any:
    """Return *operation*, changed to one that is done."""
    operation.done = True
    if error is None:
        operation.response.Pack(response)
    else:
        operation.error.CopyFrom(error.status())
    return operation
