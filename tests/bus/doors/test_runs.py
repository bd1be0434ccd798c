"""Progress messages become runs, whatever the order in which they are heard."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import run_id
from schemas.progress import EventRef, ProgressMessage
from workers.bus.doors.runs import Branch, Run, merge

CONSUMERS = {"image.pushed": ("attest", "audit"), "image.attested": ("renew", "ticket"), "ticket.opened": ("audit",)}
RUN = run_id("//ci", "1")
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
PUSHED = EventRef(type="image.pushed", source="//ci", id="1", subject="host/shop:1", stream="EVENTS", sequence=7)
ATTESTED = EventRef(type="image.attested", source="/sealane/attest", id="a1", stream="EVENTS", sequence=8)
OPENED = EventRef(type="ticket.opened", source="/sealane/ticket", id="t1", stream="EVENTS", sequence=9)


def consumers_of(event_type: str) -> tuple[str, ...]:
    """Answer from the table above."""
    return CONSUMERS.get(event_type, ())


def said(worker: str, event: EventRef, **more: Any) -> ProgressMessage:
    """Make one message, by default a first attempt that is done."""
    fields = {"kind": "result", "outcome": "done", "attempt": 1, "n": 1, "at": NOON} | more
    if fields["kind"] != "result":
        fields["outcome"] = None
    return ProgressMessage.model_validate({"worker": worker, "run": RUN, "event": event} | fields)


def run_of(*messages: ProgressMessage) -> Run:
    """Merge messages in their order."""
    return merge(enumerate(messages, 1), consumers_of)[RUN]


def state_of(run: Run) -> tuple[str, list[Branch]]:
    """Return all that a run says."""
    return run.state, run.branches()


def test_run_is_done_when_every_consumer_of_every_event_is() -> None:
    """Events that were emitted count as well, and only `audit` is not waited for."""
    run = run_of(said("attest", PUSHED, emitted=(ATTESTED,)), said("ticket", ATTESTED, emitted=(OPENED,)))

    assert (run.state, run.complete) == ("running", False)
    assert [(branch.worker, branch.state) for branch in run.branches()] == [
        ("attest", "done"),
        ("ticket", "done"),
        ("renew", "queued"),
    ]

    run.add(3, said("renew", ATTESTED))

    assert (run.state, run.complete, run.roots) == ("done", True, [PUSHED])


def test_expected_event_is_queued_before_anybody_speaks() -> None:
    """Whoever waits for what was just published does not take silence for success."""
    run = Run(RUN, consumers_of)
    run.expect(PUSHED)

    assert (run.state, run.complete) == ("running", False)
    assert [branch.state for branch in run.branches()] == ["queued"]


def test_run_that_nobody_spoke_of_is_not_over() -> None:
    """Silence is not success."""
    assert not Run(RUN, consumers_of).complete


def test_event_that_nobody_consumes_is_complete_at_once() -> None:
    """An event for the record alone is not waited for."""
    run = Run(RUN, consumers_of)
    run.expect(OPENED)

    assert run.state == "done"


def test_dead_branch_fails_the_run_once_all_others_are_over() -> None:
    """A failed run is over: what still goes on keeps it running."""
    run = run_of(
        said("attest", PUSHED, emitted=(ATTESTED,)), said("ticket", ATTESTED, outcome="dead", message="no such project")
    )

    assert not run.complete

    run.add(3, said("renew", ATTESTED))

    assert run.state == "failed"
    assert [(branch.worker, branch.message) for branch in run.failures] == [("ticket", "no such project")]


@pytest.mark.parametrize("outcome", ["retry", "waiting"])
def test_run_waits_while_all_that_is_open_comes_back_later(outcome: str) -> None:
    """A retry and a world that is not ready are neither running nor over."""
    run = run_of(said("attest", PUSHED, outcome=outcome, retry_at=NOON + timedelta(minutes=1)))

    assert run.state == "waiting"
    assert run.branches()[0].retry_at == NOON + timedelta(minutes=1)


def test_later_attempt_wins_over_a_late_word_of_an_earlier_one() -> None:
    """A handling that was paused and speaks late does not take back what the next attempt said."""
    run = run_of(said("attest", PUSHED, attempt=2), said("attest", PUSHED, attempt=1, outcome="retry"))

    assert run.state == "done"


def test_handling_that_begins_again_reopens_its_branch() -> None:
    """After a crash the same attempt may begin anew, with fewer words than before."""
    run = run_of(
        said("attest", PUSHED, kind="started", n=1),
        said("attest", PUSHED, kind="log", n=5, message="still here"),
        said("attest", PUSHED, n=2),
    )

    assert run.state == "done"


def test_replay_of_a_dead_letter_mends_the_run() -> None:
    """A replay begins to count attempts anew, and still wins over the dead end before it."""
    replayed = PUSHED.model_copy(update={"stream": "RETRY_attest", "sequence": 1})
    run = run_of(said("attest", PUSHED, attempt=10, outcome="dead"), said("attest", replayed, attempt=1))

    assert run.state == "done"
    assert run.branches()[0].event == PUSHED


def test_edited_replay_is_awaited_from_its_worker_alone() -> None:
    """It went to one worker's retries, so that the others never get it."""
    edited = ATTESTED.model_copy(update={"id": "edited", "stream": "RETRY_ticket", "sequence": 4})
    run = run_of(said("ticket", edited))

    assert [(branch.worker, branch.state) for branch in run.branches()] == [("ticket", "done")]
    assert run.complete


def test_seconds_span_the_first_beginning_and_the_last_word() -> None:
    """A quick handling says nothing before its result, so its beginning is counted back from there."""
    run = run_of(
        said("attest", PUSHED, seconds=0.5, emitted=(OPENED,)),
        said("ticket", ATTESTED, at=NOON + timedelta(seconds=2), seconds=1.0),
    )

    assert run.seconds == 2.5


REFERENCES = st.sampled_from(
    [PUSHED, ATTESTED, OPENED, PUSHED.model_copy(update={"stream": "RETRY_attest", "sequence": 2})]
)
MESSAGES = st.lists(
    st.builds(
        said,
        st.sampled_from(["attest", "renew", "ticket", "audit", "newcomer"]),
        REFERENCES,
        kind=st.sampled_from(["started", "step", "log", "result"]),
        outcome=st.sampled_from(["done", "retry", "waiting", "dead"]),
        attempt=st.integers(1, 3),
        n=st.integers(0, 3),
        at=st.integers(0, 60).map(lambda seconds: NOON + timedelta(seconds=seconds)),
        emitted=st.lists(REFERENCES, max_size=2, unique=True).map(tuple),
    ),
    min_size=1,
    max_size=8,
)


@given(st.data())
def test_any_order_and_any_repeat_gives_the_same_run(data: st.DataObject) -> None:
    """Merging is a matter of which messages there are, never of when or how often they are heard."""
    messages = list(enumerate(data.draw(MESSAGES), 1))
    shuffled = data.draw(st.permutations(messages + data.draw(st.lists(st.sampled_from(messages), max_size=3))))

    straight, crooked = merge(messages, consumers_of), merge(shuffled, consumers_of)

    assert straight.keys() == crooked.keys()
    for name, run in straight.items():
        other = crooked[name]
        assert state_of(run) == state_of(other)
        assert (run.roots, run.started_at, run.last_sequence) == (other.roots, other.started_at, other.last_sequence)
