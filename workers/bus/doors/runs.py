"""Merges progress messages into runs: what is complete, what goes on, what failed. Pure: knows no server.

A run is complete when every event of it has a final result (done or dead) from every worker that consumes it, `audit`
aside. The order in which messages are merged does not matter, and a message may be merged twice.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from schemas.identity import message_id
from schemas.progress import EventRef, ProgressMessage

AUDIT = "audit"
"""The worker that records every fact: nobody waits for it."""
BranchState = Literal["queued", "running", "retry", "waiting", "done", "dead"]
RunState = Literal["running", "waiting", "done", "failed"]
Consumers = Callable[[str], Iterable[str]]
"""Returns the workers which consume a type of event."""
_Position = tuple[bool, int, int, int]


@dataclass(frozen=True, slots=True)
class Branch:
    """One event in the hands of one worker."""

    event: EventRef
    worker: str
    state: BranchState
    attempt: int = 0
    at: datetime | None = None
    """When its last message was said."""
    seconds: float | None = None
    """How long its last handling took."""
    message: str | None = None
    """The failure in one sentence, if it is one."""
    error: str | None = None
    retry_at: datetime | None = None
    dead: EventRef | None = None
    """Where its dead letter is."""
    emitted: tuple[EventRef, ...] = ()


@dataclass(slots=True)
class _Heard:
    """What was heard of one branch: the message that counts, and all that was ever emitted."""

    position: _Position
    latest: ProgressMessage
    first_sequence: int
    emitted: dict[str, EventRef] = field(default_factory=dict)


class Run:
    """One run, as far as its messages were heard. `consumers` tells who must answer to each type of event."""

    def __init__(self, run: str, consumers: Consumers) -> None:
        self.id = run
        self._consumers = consumers
        self._events: dict[str, EventRef] = {}
        self._awaited: set[str] = set()
        self._heard: dict[tuple[str, str], _Heard] = {}
        self._states: dict[tuple[str, str], BranchState] = {}
        self._count: Counter[BranchState] = Counter()
        self.started_at: datetime | None = None
        self.last_sequence = 0

    def expect(self, event: EventRef) -> None:
        """Count an event as part of the run, before anybody has said a word about it."""
        _keep_clearest(self._events, event)
        key = _key(event)
        # What was edited for a replay goes to one worker alone: no other will ever speak of it.
        if key not in self._awaited and not _is_retry(event):
            self._awaited.add(key)
            for worker in self._consumers(event.type):
                if worker != AUDIT:
                    self._note((key, worker))

    def add(self, sequence: int, message: ProgressMessage) -> None:
        """Merge one message, which is stored in PROGRESS at `sequence`."""
        if message.worker == AUDIT:
            return
        self.last_sequence = max(self.last_sequence, sequence)
        began = message.at - timedelta(seconds=(message.seconds or 0) if message.kind == "result" else 0)
        self.started_at = began if self.started_at is None else min(self.started_at, began)
        self.expect(message.event)
        key = _key(message.event), message.worker
        position = _position(sequence, message)
        heard = self._heard.get(key)
        if heard is None:
            heard = self._heard[key] = _Heard(position, message, sequence)
        heard.first_sequence = min(heard.first_sequence, sequence)
        if position > heard.position:
            heard.position, heard.latest = position, message
        for event in message.emitted:
            self.expect(event)
            _keep_clearest(heard.emitted, event)
        self._note(key)

    def heard(self, message: ProgressMessage) -> bool:
        """Whether anything was merged of what a worker says of an event."""
        return (_key(message.event), message.worker) in self._heard

    def branches(self) -> list[Branch]:
        """Return every branch in the order in which they were first heard of, those still queued at the end."""
        return [self._branch(*pair) for pair in sorted(self._states, key=self._place)]

    @property
    def complete(self) -> bool:
        """Whether every event has a final result from every worker that consumes it."""
        return self.state in {"done", "failed"}

    @property
    def state(self) -> RunState:
        """How the run is: a failed one is over, and a branch of it is dead."""
        count = self._count
        if not self._events or count["queued"] or count["running"]:
            return "running"
        if count["retry"] or count["waiting"]:
            return "waiting"
        return "failed" if count["dead"] else "done"

    @property
    def failures(self) -> list[Branch]:
        """The branches which ended in a dead letter."""
        return [branch for branch in self.branches() if branch.state == "dead"] if self._count["dead"] else []

    @property
    def roots(self) -> list[EventRef]:
        """The events which no worker of this run emitted: normally the one that opened it."""
        emitted = {key for heard in self._heard.values() for key in heard.emitted}
        return [event for key, event in sorted(self._events.items()) if key not in emitted]

    @property
    def seconds(self) -> float | None:
        """From the first handling's begin to the last message."""
        if self.started_at is None:
            return None
        return (max(heard.latest.at for heard in self._heard.values()) - self.started_at).total_seconds()

    def _note(self, pair: tuple[str, str]) -> None:
        """Count a branch under its state, so that a run of many events need not be walked for each message."""
        heard, before = self._heard.get(pair), self._states.get(pair)
        state: BranchState = (heard.latest.outcome or "running") if heard else "queued"
        if before is not None:
            self._count[before] -= 1
        self._count[state] += 1
        self._states[pair] = state

    def _place(self, pair: tuple[str, str]) -> tuple[float, str, str]:
        heard = self._heard.get(pair)
        return heard.first_sequence if heard else float("inf"), *pair

    def _branch(self, key: str, worker: str) -> Branch:
        event, heard = self._events[key], self._heard.get((key, worker))
        if heard is None:
            return Branch(event, worker, "queued")
        latest = heard.latest
        return Branch(
            event=event,
            worker=worker,
            state=latest.outcome or "running",
            attempt=latest.attempt,
            at=latest.at,
            seconds=latest.seconds if latest.kind == "result" else None,
            message=latest.message if latest.kind == "result" else None,
            error=latest.error,
            retry_at=latest.retry_at,
            dead=latest.dead,
            emitted=tuple(event for _, event in sorted(heard.emitted.items())),
        )


def merge(messages: Iterable[tuple[int, ProgressMessage]], consumers: Consumers) -> dict[str, Run]:
    """Merge (sequence, message) pairs of any runs, in any order, into their runs."""
    runs: dict[str, Run] = {}
    for sequence, message in messages:
        run = runs.get(message.run)
        if run is None:
            run = runs[message.run] = Run(message.run, consumers)
        run.add(sequence, message)
    return runs


def _position(sequence: int, message: ProgressMessage) -> _Position:
    """Order what is said of one branch: a retry's or replay's copy after the event itself, then attempts, then words.

    Clocks of different machines decide nothing. A handling that was paused and speaks late does not win over the
    attempt which was begun after it; `n` cannot decide between handlings, because each counts from its own start.
    """
    event = message.event
    return _is_retry(event), event.sequence or 0, message.attempt, sequence


def _is_retry(event: EventRef) -> bool:
    return event.stream is not None and event.stream.startswith("RETRY_")


def _key(event: EventRef) -> str:
    return message_id(event.type, event.source, event.id)


def _keep_clearest(events: dict[str, EventRef], event: EventRef) -> None:
    key = _key(event)
    known = events.get(key)
    if known is None or _clearness(event) < _clearness(known):
        events[key] = event


def _clearness(event: EventRef) -> tuple[bool, bool, bool, int, str]:
    """Prefer, of two references to one event, the one that says where the original is stored."""
    return (
        event.stream is None,
        _is_retry(event),
        event.subject is None,
        event.sequence or 0,
        f"{event.stream}\x00{event.subject}",
    )
