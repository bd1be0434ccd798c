"""What is told, as messages: everything that Server-Sent Events say is in them."""

import json

import pytest

from workers.gateway.live.tale import Kind, Told
from workers.gateway.rpc.telling import message_of

EVENT = {"type": "echo.requested", "source": "/ci", "id": "1", "subject": "é", "stream": "EVENTS", "sequence": 7}
RESULT = {
    "sequence": 9,
    "kind": "result",
    "worker": "echo",
    "run": "r-1",
    "event": EVENT,
    "attempt": 2,
    "n": 3,
    "at": "2026-11-02T09:30:00.250000Z",
    "actor": "ci",
    "seconds": 0.25,
    "outcome": "dead",
    "error": "Invalid",
    "message": "\u202eit cannot be \u001b[31m",
    "emitted": [EVENT],
    "steps": [{"name": "look", "state": "failed"}],
    "logs": ["one", "two"],
    "dead": EVENT | {"stream": "DEAD"},
    "something_new": {"of": "a later version"},
}


def test_nothing_of_a_message_is_lost() -> None:
    """Every field arrives, whatever letters it holds; one of a later version is passed over."""
    told = message_of(Told("progress", "9", json.dumps(RESULT).encode()))
    assert told is not None
    found = told.progress

    assert (told.id, found.sequence, found.attempt, found.n, found.at.ToJsonString()) == (
        *("9", 9, 2, 3),
        "2026-11-02T09:30:00.250Z",
    )
    assert (found.event.subject, found.event.sequence, found.message) == ("é", 7, RESULT["message"])
    assert (list(found.logs), found.steps[0].state, found.dead.stream) == (["one", "two"], "failed", "DEAD")
    assert not found.HasField("retry_at")


@pytest.mark.parametrize(
    ("kind", "data"),
    [("gap", {"reason": "expired", "after": 3, "first": 9}), ("waiting", {"message": "the bus is away"})],
)
def test_what_is_no_progress_has_no_id(kind: Kind, data: dict[str, str | int]) -> None:
    """Who was told of a gap, or that the bus is away, stays where it was."""
    told = message_of(Told(kind, data=json.dumps(data).encode()))
    assert told is not None
    assert (told.id, told.WhichOneof("told")) == ("", kind)
    part = getattr(told, kind)
    assert {name: getattr(part, name) for name in data} == data


def test_silence_is_told_by_the_transport() -> None:
    """A heartbeat is no message."""
    assert message_of(Told("heartbeat")) is None


def test_end_of_a_run_with_very_many_branches_fits_into_a_message() -> None:
    """Clients take 4 MiB: how many branches were left out is said."""
    branch = {"worker": "echo", "event": EVENT, "state": "done", "message": "x" * 500}
    run = {"run": "r-1", "state": "done", "complete": True, "branches": [branch] * 10_000}
    told = message_of(Told("completed", "9-completed", json.dumps(run).encode()))
    assert told is not None
    assert told.ByteSize() < 4 << 20
    assert len(told.completed.branches) + told.completed.branches_left_out == 10_000
    assert told.completed.complete
