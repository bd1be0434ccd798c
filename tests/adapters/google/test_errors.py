"""The one table: what each gRPC status is to us, and the sentence that goes with it."""

from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, Help, QuotaFailure, RetryInfo

from workers.adapters.google.errors import Errand, failure
from workers.failures import Denied, Invalid, NotFound, QuotaExhausted, SealaneError, Unavailable

KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
ERRAND = Errand("Cloud KMS", "sign with", KEY, "cloudkms.cryptoKeyVersions.useToSign", "roles/cloudkms.signerVerifier")
NOW = datetime(2026, 1, 1, 12, 0, 18, tzinfo=UTC)
KINDS = {
    "CANCELLED": Unavailable,
    "UNKNOWN": Unavailable,
    "INVALID_ARGUMENT": Invalid,
    "DEADLINE_EXCEEDED": Unavailable,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": Unavailable,
    "PERMISSION_DENIED": Denied,
    "RESOURCE_EXHAUSTED": QuotaExhausted,
    "FAILED_PRECONDITION": Invalid,
    "ABORTED": Unavailable,
    "OUT_OF_RANGE": Invalid,
    "UNIMPLEMENTED": Invalid,
    "INTERNAL": Unavailable,
    "UNAVAILABLE": Unavailable,
    "DATA_LOSS": Unavailable,
    "UNAUTHENTICATED": Denied,
}


def test_every_status_of_grpc_is_decided() -> None:
    """A status that the library adds makes this test fail until somebody decides."""
    assert set(KINDS) == {status.name for status in grpc.StatusCode} - {"OK"}


@pytest.mark.parametrize(("status", "kind"), KINDS.items())
def test_a_status_is_one_failure(status: str, kind: type[SealaneError]) -> None:
    """And the sentence names the service, the resource, the status and what was said."""
    found = failure(ERRAND, status, "it\n  said so.")

    assert type(found) is kind
    assert "Cloud KMS" in str(found)
    assert KEY in str(found)
    assert str(found).endswith(f"({status}: it said so)")


def test_a_missing_permission_says_what_to_grant() -> None:
    """Role, permission and resource."""
    assert str(failure(ERRAND, "PERMISSION_DENIED", "Permission denied")) == (
        f"Cloud KMS does not let us sign with {KEY}: grant roles/cloudkms.signerVerifier (permission"
        " cloudkms.cryptoKeyVersions.useToSign) on it to the identity of this process, if it exists under that name"
        " (PERMISSION_DENIED: Permission denied)"
    )


def test_missing_credentials_say_what_to_do() -> None:
    """A service account, or a login."""
    assert "give the workload a service account, or run `gcloud auth application-default login`" in str(
        failure(ERRAND, "UNAUTHENTICATED")
    )


def test_a_used_up_quota_comes_back_when_google_says() -> None:
    """RetryInfo, wherever it stands among the details."""
    info = RetryInfo(retry_delay=Duration(seconds=7, nanos=500_000_000))
    found = failure(ERRAND, "RESOURCE_EXHAUSTED", details=[Help(), info], now=NOW)

    assert isinstance(found, QuotaExhausted)
    assert found.after == timedelta(seconds=7.5)


def test_a_used_up_quota_comes_back_with_the_next_minute() -> None:
    """Google counts by the minute, so 12:00:18 waits until just after 12:01."""
    found = failure(ERRAND, "RESOURCE_EXHAUSTED", now=NOW)

    assert isinstance(found, QuotaExhausted)
    assert found.after == timedelta(seconds=43)


def test_a_limit_that_waiting_does_not_lift_is_said_at_once() -> None:
    """A QuotaFailure alone is a fixed limit, as of attestors; beside a rate or a time to wait it is a quota."""
    full = QuotaFailure(violations=[QuotaFailure.Violation(subject="s", description="There are 200 attestors.")])
    limited = failure(ERRAND, "RESOURCE_EXHAUSTED", "There are 200 attestors", details=[full])
    waiting = [RetryInfo(retry_delay=Duration(seconds=7)), ErrorInfo(reason="RATE_LIMIT_EXCEEDED")]

    assert type(limited) is Invalid
    assert "delete what is no longer needed" in str(limited)
    assert "going on" not in str(limited)
    for other in waiting:
        assert type(failure(ERRAND, "RESOURCE_EXHAUSTED", details=[full, other])) is QuotaExhausted


def test_an_endless_wait_is_cut() -> None:
    """Nobody parks us for a year."""
    found = failure(ERRAND, "RESOURCE_EXHAUSTED", details=[RetryInfo(retry_delay=Duration(seconds=10**8))])

    assert isinstance(found, QuotaExhausted)
    assert found.after == timedelta(hours=1)


@pytest.mark.parametrize("secret", ["Bearer abc.def", "ya29.a0AfH6SMBx", "eyJhbGciOi.eyJzdWIi.c2ln"])
def test_no_token_gets_into_a_sentence(secret: str) -> None:
    """Even if a proxy repeats what it was sent."""
    assert secret not in str(failure(ERRAND, "UNAUTHENTICATED", f"rejected {secret} by the proxy"))
