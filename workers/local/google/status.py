"""Errors as Google's services send them: a status with typed details, as gRPC trailers or as a REST error body.

Follows https://cloud.google.com/apis/design/errors and google/rpc/{status,code,error_details}.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf import any_pb2, duration_pb2, json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2

# The HTTP mapping that google/rpc/code.proto documents beside each code.
HTTP_STATUS = {
    "OK": 200,
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}


class ApiError(Exception):
    """An answer with a status other than OK.

    `code` is a name of google.rpc.Code, `details` are messages of google/rpc/error_details.proto.
    """

    def __init__(self, code: str, message: str, details: Iterable[Any] = ()) -> None:
        super().__init__(message)
        if code not in HTTP_STATUS:
            raise ValueError(f"{code} is not a status code of google.rpc; use one of {', '.join(HTTP_STATUS)}.")
        self.code = code
        self.message = message
        self.details = tuple(details)

    @property
    def http_status(self) -> int:
        """The HTTP status that goes with the code."""
        return HTTP_STATUS[self.code]

    def status(self) -> status_pb2.Status:
        """Return the google.rpc.Status that gRPC carries in its trailers."""
        packed = []
        for detail in self.details:
            box = any_pb2.Any()
            box.Pack(detail)
            packed.append(box)
        return status_pb2.Status(code=code_pb2.Code.Value(self.code), message=self.message, details=packed)

    def body(self) -> dict[str, Any]:
        """Return the JSON body of the REST form."""
        error: dict[str, Any] = {"code": self.http_status, "message": self.message, "status": self.code}
        if self.details:
            error["details"] = [json_format.MessageToDict(detail) for detail in self.status().details]
        return {"error": error}


def invalid_argument(message: str, field: str = "") -> ApiError:
    """INVALID_ARGUMENT; with *field*, as a BadRequest that names it."""
    if not field:
        return ApiError("INVALID_ARGUMENT", message)
    violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
    return ApiError("INVALID_ARGUMENT", message, [error_details_pb2.BadRequest(field_violations=[violation])])


def not_found(kind: str, name: str) -> ApiError:
    """NOT_FOUND for the resource *name*."""
    return ApiError("NOT_FOUND", f"{kind} {name} not found.", [_resource(kind, name)])


def already_exists(kind: str, name: str) -> ApiError:
    """ALREADY_EXISTS for the resource *name*."""
    return ApiError("ALREADY_EXISTS", f"{kind} {name} already exists.", [_resource(kind, name)])


def failed_precondition(message: str, kind: str, subject: str) -> ApiError:
    """FAILED_PRECONDITION whose violation has the type *kind* and is about *subject*."""
    violation = error_details_pb2.PreconditionFailure.Violation(type=kind, subject=subject, description=message)
    return ApiError("FAILED_PRECONDITION", message, [error_details_pb2.PreconditionFailure(violations=[violation])])


def aborted(name: str) -> ApiError:
    """ABORTED because the etag sent is not the etag of *name* now."""
    return ApiError(
        "ABORTED",
        f"The etag sent for {name} is not its current one: somebody changed it; read it again and repeat the change.",
    )


def unimplemented(what: str) -> ApiError:
    """UNIMPLEMENTED: *what* exists in the cloud and is not served here."""
    return ApiError("UNIMPLEMENTED", f"{what} is not served by the local Google services.")


def unauthenticated(reason: str, sentence: str) -> ApiError:
    """UNAUTHENTICATED with *reason* in its ErrorInfo."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain="googleapis.com")
    return ApiError("UNAUTHENTICATED", sentence, [info])


def resource_exhausted(service: str, method: str, *, limit: int, per: float, retry_after: float) -> ApiError:
    """RESOURCE_EXHAUSTED with QuotaFailure and RetryInfo: more than *limit* calls of *method* in *per* seconds."""
    sentence = f"Quota exceeded for {method} of {service}: {limit} calls in {per:g} s; retry in {retry_after:.3f} s."
    delay = duration_pb2.Duration()
    delay.FromNanoseconds(int(retry_after * 1e9))
    info = error_details_pb2.ErrorInfo(
        reason="RATE_LIMIT_EXCEEDED",
        domain="googleapis.com",
        metadata={
            "service": service,
            "quota_metric": f"{service}/{method}",
            "quota_limit_value": str(round(limit * 60 / per)),
            "quota_unit": "1/min/{project}/{user}",
        },
    )
    violation = error_details_pb2.QuotaFailure.Violation(subject=f"{service}/{method}", description=sentence)
    return ApiError(
        "RESOURCE_EXHAUSTED",
        sentence,
        [
            info,
            error_details_pb2.QuotaFailure(violations=[violation]),
            error_details_pb2.RetryInfo(retry_delay=delay),
        ],
    )


def limit_exceeded(service: str, what: str, limit: int) -> ApiError:
    """RESOURCE_EXHAUSTED for a fixed limit, with a QuotaFailure and nothing to wait for: waiting makes no room."""
    sentence = f"There are {limit} {what} already, which is the limit; delete one that is not needed."
    violation = error_details_pb2.QuotaFailure.Violation(subject=service, description=sentence)
    return ApiError("RESOURCE_EXHAUSTED", sentence, [error_details_pb2.QuotaFailure(violations=[violation])])


def permission_denied(service: str, permission: str, resource: str) -> ApiError:
    """PERMISSION_DENIED with the ErrorInfo of IAM, which names what is missing and on what."""
    info = error_details_pb2.ErrorInfo(
        reason="IAM_PERMISSION_DENIED",
        domain=service,
        metadata={"permission": permission, "resource": resource},
    )
    sentence = f"Permission '{permission}' denied on resource '//{service}/{resource}' (or it may not exist)."
    return ApiError("PERMISSION_DENIED", sentence, [info])


def _resource(kind: str, name: str) -> Any:
    return error_details_pb2.ResourceInfo(resource_type=kind, resource_name=name)
