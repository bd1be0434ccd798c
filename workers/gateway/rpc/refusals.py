"""What a call that is refused is told: a status of gRPC with details of google.rpc (error_details.proto).

ErrorInfo says the reason (the name of the HTTP status that the same gets there) and what was wrong, BadRequest names
the fields, RetryInfo says when to come again.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from workers.gateway.problems import Problem

DOMAIN = "sealane"
_CODES = {
    HTTPStatus.UNAUTHORIZED: code_pb2.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: code_pb2.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: code_pb2.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT: code_pb2.DEADLINE_EXCEEDED,
    HTTPStatus.CONFLICT: code_pb2.ALREADY_EXISTS,
    HTTPStatus.UNPROCESSABLE_ENTITY: code_pb2.FAILED_PRECONDITION,
    HTTPStatus.TOO_MANY_REQUESTS: code_pb2.RESOURCE_EXHAUSTED,
    HTTPStatus.INTERNAL_SERVER_ERROR: code_pb2.INTERNAL,
    HTTPStatus.SERVICE_UNAVAILABLE: code_pb2.UNAVAILABLE,
}
_MOST_FIELDS = 20
_MOST_CHARACTERS = 500
"""Details travel in the trailers, of which clients take 8 KiB."""


def status_of(problem: Problem) -> grpc.Status:
    """Return what the caller is told."""
    told = status_pb2.Status(code=_CODES.get(problem.status, code_pb2.INVALID_ARGUMENT), message=_short(problem.detail))
    for detail in _details(problem):
        told.details.add().Pack(detail)
    status: grpc.Status = rpc_status.to_status(told)
    return status


def _details(problem: Problem) -> Iterator[Message]:
    scalars = {name: _short(str(value)) for name, value in problem.members.items() if isinstance(value, str | int)}
    yield error_details_pb2.ErrorInfo(reason=problem.status.name, domain=DOMAIN, metadata=scalars)
    fields = _fields(problem.members)
    if fields:
        violations = (
            error_details_pb2.BadRequest.FieldViolation(field=field, description=_short(problem.detail))
            for field in fields[:_MOST_FIELDS]
        )
        yield error_details_pb2.BadRequest(field_violations=violations)
    if "retry-after" in problem.headers:
        wait = error_details_pb2.RetryInfo()
        wait.retry_delay.FromSeconds(int(problem.headers["retry-after"]))
        yield wait


def _fields(members: dict[str, Any]) -> list[str]:
    """Return the paths of what was wrong in the message that was sent."""
    event = f"events[{members['index']}]." if "index" in members else ""
    if "attribute" in members:
        return [f"{event}{members['attribute']}"]
    fields = members.get("fields") or ([members["field"]] if "field" in members else [])
    return [f"{event}data.{field}" if event else field for field in fields]


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
