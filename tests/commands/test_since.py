"""What may be written after `--since`, of whatever command."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from workers.commands.since import when
from workers.failures import Invalid

NOW = datetime(2026, 5, 8, 12, tzinfo=UTC)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the machine one two hours before UTC."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "XST-2")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("7d", "2026-05-01T12:00:00+00:00"),
        ("90m", "2026-05-08T10:30:00+00:00"),
        ("2026-05-01", "2026-04-30T22:00:00+00:00"),
        ("2026-05-01T12:00", "2026-05-01T10:00:00+00:00"),
        ("2026-05-01T12:00:00Z", "2026-05-01T12:00:00+00:00"),
    ],
)
def test_a_time_is_of_this_machine_unless_it_says_another_zone(text: str, time: str) -> None:
    """As the clock on the wall and the times in our tables are."""
    assert when(text, NOW).isoformat() == time


@pytest.mark.parametrize("text", ["yesterday", "", "7", "7y", "2026-13-01", "999999w", "0001-01-01T00:00+14:00"])
def test_what_is_no_time_is_refused_with_what_to_write(text: str) -> None:
    """Nor is one that no calendar holds."""
    with pytest.raises(Invalid, match="is no time: write 2026-01-31, 2026-01-31T12:00, or how long ago as in 12h, 7d"):
        when(text, NOW)
