"""HTTP statuses become our failures in one table."""

from datetime import UTC, datetime, timedelta

import pytest

from workers.adapters.statuses import LONGEST_WAIT, failure, wait
from workers.failures import Denied, Invalid, NotFound, QuotaExhausted, SealaneError, Unavailable

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Denied),
        (403, Denied),
        (404, NotFound),
        (408, Unavailable),
        (409, Unavailable),
        (410, NotFound),
        (413, Invalid),
        (418, Invalid),
        (425, Unavailable),
        (429, QuotaExhausted),
        (500, Unavailable),
        (502, Unavailable),
        (599, Unavailable),
        (302, Unavailable),
        (204, Unavailable),
    ],
)
def test_has_one_failure_for_each_status(status: int, kind: type[SealaneError]) -> None:
    """A status is one kind of failure, with the sentence as it was given."""
    found = failure(status, "a sentence")

    assert type(found) is kind
    assert str(found) == "a sentence"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("7", timedelta(seconds=7)),
        (" 0 ", timedelta(0)),
        ("99999999999999999999", LONGEST_WAIT),
        ("Sun, 22 Nov 2026 01:00:30 GMT", timedelta(seconds=30)),
        ("Sun, 22 Nov 2026 01:00:30 -0000", timedelta(seconds=30)),
        ("Sun, 22 Nov 2026 00:00:00 GMT", timedelta(0)),
        ("Sun, 22 Nov 2099 00:00:00 GMT", LONGEST_WAIT),
        ("soon", None),
        ("-5", None),
        ("²", None),
        ("", None),
        (None, None),
    ],
)
def test_reads_when_to_come_back(header: str | None, expected: timedelta | None) -> None:
    """Retry-After is seconds or a date, never longer than we are willing to wait."""
    assert wait(header, now=NOW) == expected


def test_comes_back_by_itself_where_the_server_does_not_say_when() -> None:
    """Without Retry-After, a used-up quota has our own delay, and an outage leaves it to the bus."""
    quota, outage = failure(429, "x"), failure(503, "x")

    assert isinstance(quota, QuotaExhausted)
    assert quota.after > timedelta(0)
    assert isinstance(outage, Unavailable)
    assert outage.after is None
