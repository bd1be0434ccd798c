"""gRPC statuses as our failures: the one table for every Google service.

Sources: google/rpc/code.proto (statuses), google/rpc/error_details.proto (RetryInfo), AIP-193 (errors).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from workers.failures import Denied, Invalid, NotFound, QuotaExhausted, SealaneError, Unavailable


@dataclass(frozen=True, slots=True)
class Errand:
    """One call as people think of it: who is asked to do what with which resource, and what allows it."""

    service: str
    """As Google's console calls it: Cloud KMS."""
    doing: str
    """Verb before the resource: `sign with`."""
    resource: str
    permission: str
    """IAM permission that the call needs."""
    role: str
    """Narrowest predefined role that holds it."""
    remedy: str = "check what was asked for"
    """What to do when the service refuses the request as such."""


FAILURES: Mapping[str, tuple[type[SealaneError], str]] = MappingProxyType(
    {
        "PERMISSION_DENIED": (
            Denied,
            (
                "{service} does not let us {doing} {resource}: grant {role} (permission {permission}) on {where} to the"
                " identity of this process, if it exists under that name"
            ),
        ),
        "UNAUTHENTICATED": (
            Denied,
            (
                "{service} does not accept our credentials to {doing} {resource}: give the workload a service account,"
                " or run `gcloud auth application-default login`"
            ),
        ),
        "NOT_FOUND": (NotFound, "{service} cannot {doing} {resource}, it does not exist: check its name"),
        "INVALID_ARGUMENT": (Invalid, "{service} refuses to {doing} {resource}: {remedy}"),
        "FAILED_PRECONDITION": (Invalid, "{service} cannot {doing} {resource} as it is: {remedy}"),
        "OUT_OF_RANGE": (Invalid, "{service} refuses to {doing} {resource}: {remedy}"),
        "UNIMPLEMENTED": (Invalid, "{service} has no way to {doing} {resource} at this endpoint: check the endpoint"),
        "RESOURCE_EXHAUSTED": (
            QuotaExhausted,
            "the quota to {doing} {resource} in {service} is used up; going on when it allows more",
        ),
        "ALREADY_EXISTS": (
            Unavailable,
            "{service} did not {doing} {resource}, since it exists already; looking for it",
        ),
        "ABORTED": (Unavailable, "{service} was interrupted as we wanted to {doing} {resource}; trying again"),
        "DEADLINE_EXCEEDED": (Unavailable, "{service} did not answer in time to {doing} {resource}; trying again"),
    }
)
"""Status → what it is to us, and the sentence. Every other status is Unavailable."""

ROLES_ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {"containeranalysis.notes.attachOccurrence": "roles/containeranalysis.notes.attacher"}
)
"""Permission → role, for those that a call needs on another resource than the one it is about."""
OTHERS = (Unavailable, "{service} could not {doing} {resource} just now; trying again")
_FULL = "waiting makes none, so delete what is no longer needed, or ask Google to raise the limit"
LONGEST_WAIT = timedelta(hours=1)
_MESSAGE_LIMIT = 300
_SECRET = re.compile(r"(?i)bearer\s+\S+|ya29\.\S+|eyJ[\w-]+\.[\w.-]+")


def failure(
    errand: Errand, status: str, message: str = "", details: Any = (), now: datetime | None = None
) -> SealaneError:
    """Return the failure that a status is; *details* are the decoded google.rpc messages, if any came."""
    kind, template = FAILURES.get(status, OTHERS)
    permission, where = _missing(details)
    sentence = template.format(
        service=errand.service,
        doing=errand.doing,
        resource=errand.resource,
        permission=permission or errand.permission,
        where=where or "it",
        role=ROLES_ELSEWHERE.get(permission, errand.role),
        remedy=errand.remedy,
    )
    if kind is QuotaExhausted and _is_fixed_limit(details):
        kind = Invalid
        sentence = f"{errand.service} has no room left to {errand.doing} {errand.resource}: {_FULL}"
    said = _SECRET.sub("…", " ".join(message.split()))[:_MESSAGE_LIMIT].rstrip(".")
    sentence = f"{sentence} ({status}: {said})" if said else f"{sentence} ({status})"
    if kind is QuotaExhausted:
        return QuotaExhausted(sentence, after=_wait(details, now or datetime.now(UTC)), limit=_a_minute(details))
    return kind(sentence)


def _missing(details: Any) -> tuple[str, str]:
    """Return the permission that IAM missed and on what, empty where the service does not say."""
    for detail in details:
        if detail.DESCRIPTOR.full_name == "google.rpc.ErrorInfo" and detail.reason == "IAM_PERMISSION_DENIED":
            return detail.metadata.get("permission", ""), detail.metadata.get("resource", "")
    return "", ""


def _wait(details: Any, now: datetime) -> timedelta:
    """Return what RetryInfo says, else until the next minute: Google counts its quotas by the minute."""
    for detail in details:
        if detail.DESCRIPTOR.full_name == "google.rpc.RetryInfo":
            wanted: timedelta = detail.retry_delay.ToTimedelta()
            return min(max(timedelta(0), wanted), LONGEST_WAIT)
    return timedelta(seconds=61 - now.second)


def _is_fixed_limit(details: Any) -> bool:
    """Whether what is used up never comes back: a QuotaFailure that names neither a rate nor when to try again."""
    found = {detail.DESCRIPTOR.full_name for detail in details}
    is_rate = any(getattr(detail, "reason", "") == "RATE_LIMIT_EXCEEDED" for detail in details)
    return "google.rpc.QuotaFailure" in found and "google.rpc.RetryInfo" not in found and not is_rate


_MINUTES = {"min": 1.0, "s": 1 / 60, "h": 60.0, "d": 1440.0}


def _a_minute(details: Any) -> float | None:
    """Return how many calls a minute the quota admits, if the service's ErrorInfo says so."""
    for detail in details:
        if detail.DESCRIPTOR.full_name == "google.rpc.ErrorInfo" and detail.reason == "RATE_LIMIT_EXCEEDED":
            value = detail.metadata.get("quota_limit_value", "")
            unit = detail.metadata.get("quota_unit", "1/min").removeprefix("1/").partition("/")[0]
            if value.isascii() and value.isdigit() and int(value) and unit in _MINUTES:
                return int(value) / _MINUTES[unit]
    return None
