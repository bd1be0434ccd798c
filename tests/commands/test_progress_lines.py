"""Lines of progress stay readable, however much a worker did."""

from datetime import UTC, datetime

import pytest

from schemas.progress import EventRef, ProgressMessage
from workers.commands.progress_lines import ProgressLines


def test_a_line_names_a_few_of_the_events_and_counts_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    """A rotation asks for hundreds of attestations at a time."""
    asked = [EventRef(type="attestation.requested", source="/s", id=str(n), subject=f"shop-{n}") for n in range(300)]
    event = EventRef(type="attestor.rotate", source="/s", id="1", subject="ci")
    message = ProgressMessage(
        kind="result",
        worker="rekey",
        run="r",
        event=event,
        attempt=1,
        n=1,
        at=datetime.now(UTC),
        outcome="waiting",
        message="0 of 300 images verified with the new key",
        emitted=tuple(asked),
    )
    ProgressLines(as_json=False).write(1, message)

    said = capsys.readouterr().out
    assert "shop-4 and 295 more" in said
    assert "shop-5" not in said
