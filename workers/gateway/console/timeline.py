"""One run as it is shown: from cause to effect, each branch with its attempts and steps, and what was logged."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from schemas.identity import message_id
from schemas.progress import EventRef, ProgressMessage
from workers.bus.doors.runs import Branch, Consumers, Run

MOST_LINES = 500
"""Lines of a run that a page shows: the last ones."""
MOST_EVENTS = 300
"""Events of a run that a page shows."""


@dataclass(slots=True)
class Step:
    """A step of a branch."""

    name: str
    state: Literal["began", "done", "failed"]
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log."""

    sequence: int
    at: datetime
    worker: str
    text: str


@dataclass(slots=True)
class Lane:
    """A branch with what was done in its last attempt."""

    branch: Branch
    steps: list[Step]
    effects: list["Node"]


@dataclass(slots=True)
class Node:
    """An event and what became of it."""

    event: EventRef
    lanes: list[Lane]
    again: bool = False
    """Whether it is shown further up already."""


@dataclass(slots=True)
class _Handling:
    attempt: tuple[int, int] = (0, 0)
    steps: dict[str, Step] = field(default_factory=dict)


class Timeline:
    """Merges the messages of one run, in the order of their sequences."""

    def __init__(self, run: str, consumers: Consumers) -> None:
        self.run = Run(run, consumers)
        self.lines: deque[Line] = deque(maxlen=MOST_LINES)
        self.lines_before = 0
        """Lines that are not shown any more."""
        self.actor: str | None = None
        self.hidden = 0
        """Events that are not shown, found by `nodes`."""
        self._handlings: dict[tuple[str, str], _Handling] = {}

    def add(self, sequence: int, message: ProgressMessage) -> None:
        """Merge one message."""
        self.run.add(sequence, message)
        self.actor = self.actor or message.actor
        texts = message.logs if message.kind == "result" else ()
        if message.kind == "log" and message.message is not None:
            texts = (message.message,)
        for text in texts:
            self.lines_before += len(self.lines) == MOST_LINES
            self.lines.append(Line(sequence, message.at, message.worker, text))
        self._step(message)

    def _step(self, message: ProgressMessage) -> None:
        key = _key(message.event), message.worker
        attempt = message.event.sequence or 0, message.attempt
        handling = self._handlings.setdefault(key, _Handling())
        if attempt != handling.attempt:
            handling = self._handlings[key] = _Handling(attempt)
        if message.kind == "step" and message.step and message.state:
            handling.steps[message.step] = Step(message.step, message.state, message.seconds)
        for taken in message.steps:
            handling.steps[taken.name] = Step(taken.name, taken.state, taken.seconds)

    def nodes(self) -> list[Node]:
        """Return the events that opened the run, each with what became of it."""
        by_event: dict[str, list[Branch]] = {}
        for branch in self.run.branches():
            by_event.setdefault(_key(branch.event), []).append(branch)
        seen: set[str] = set()
        self.hidden = 0
        return self._nodes(self.run.roots, by_event, seen)

    def _nodes(self, events: Iterable[EventRef], by_event: Mapping[str, list[Branch]], seen: set[str]) -> list[Node]:
        found = []
        for event in events:
            key = _key(event)
            if key in seen:
                found.append(Node(event, [], again=True))
                continue
            if len(seen) >= MOST_EVENTS:
                self.hidden += 1
                continue
            seen.add(key)
            lanes = [self._lane(branch, by_event, seen) for branch in by_event.get(key, ())]
            found.append(Node(event, lanes))
        return found

    def _lane(self, branch: Branch, by_event: Mapping[str, list[Branch]], seen: set[str]) -> Lane:
        handling = self._handlings.get((_key(branch.event), branch.worker), _Handling())
        return Lane(
            branch, list(handling.steps.values()), self._nodes(sorted(branch.emitted, key=_about), by_event, seen)
        )


def _about(event: EventRef) -> tuple[str, str]:
    """Return what the effects of one cause are told in the order of: of forty images one is to be found."""
    return event.type, event.subject or event.id


def _key(event: EventRef) -> str:
    return message_id(event.type, event.source, event.id)
