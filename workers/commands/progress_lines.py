"""Progress messages and runs as lines: for people with colours, for pipes without, for programs as JSON."""

from collections.abc import Iterator

from rich.text import Text

from schemas.progress import EventRef, ProgressMessage
from workers.bus.doors.records import run_record
from workers.bus.doors.runs import Branch, Run
from workers.commands.output import console, one_line, write_json

_NAMED = 5
"""Events that a line names."""
_STYLES = {"done": "green", "dead": "bold red", "failed": "bold red", "retry": "yellow", "waiting": "yellow"}
_MARKS = {"done": "✓", "dead": "✗", "failed": "✗", "retry": "…", "waiting": "…", "began": "·"}


class ProgressLines:
    """Writes what is said, line by line. What a result repeats of what was said aloud is left out."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.console = console()
        self._aloud: set[tuple[str, str, str, int]] = set()

    def write(self, sequence: int, message: ProgressMessage) -> None:
        """Write one message."""
        if self._as_json:
            write_json({"sequence": sequence} | message.model_dump(mode="json", exclude_defaults=True))
            return
        key = message.worker, message.event.source, message.event.id, message.attempt
        if message.kind != "result":
            self._aloud.add(key)
        head = f"{message.at.astimezone():%H:%M:%S} {message.worker:<8} "
        for text, style in _said(message, aloud=key in self._aloud):
            self.console.print(Text.assemble((head, "dim"), (_line(text), style)), soft_wrap=True)

    def write_end(self, run: Run) -> None:
        """Write how a run ended."""
        if self._as_json:
            write_json({"kind": "completed"} | run_record(run))
            return
        end = Text(f"run {run.id} {run.state}{_took(run.seconds)}", _STYLES.get(run.state, ""))
        self.console.print(end, soft_wrap=True)


def reference(event: EventRef) -> str:
    """Return an event as people name it: its type and what it is about."""
    return f"{event.type} {event.subject or event.id}"


def failure_sentence(branch: Branch) -> str:
    """Say why a branch is dead, and what to do."""
    where = f" `sealane dead show {branch.dead.sequence}` tells all." if branch.dead and branch.dead.sequence else ""
    reason = one_line(branch.message or "no reason is known").rstrip(".")
    return f"{branch.worker} gave up on {one_line(reference(branch.event))}: {reason}.{where}"


def open_sentence(branch: Branch) -> str:
    """Say what a branch that is not over waits for."""
    what = f"{branch.worker} of {one_line(reference(branch.event))}"
    if branch.state == "queued":
        return f"{what} has not begun (`sealane doctor` says whether the worker is at work)"
    if branch.state == "running":
        return f"{what} is running"
    again = f", again at {branch.retry_at.astimezone():%H:%M:%S}" if branch.retry_at else ""
    return f"{what} waits{again}: {one_line(branch.message or branch.state)}"


def _said(message: ProgressMessage, *, aloud: bool) -> Iterator[tuple[str, str]]:
    """Yield the lines of a message, with their styles."""
    if message.kind == "started":
        yield f"{reference(message.event)}" + (f" (attempt {message.attempt})" if message.attempt > 1 else ""), "bold"
    elif message.kind == "log":
        yield f"  {message.message or ''}", ""
    elif message.kind == "step":
        yield _step(message.step or "", message.state or "began", message.seconds)
    else:
        if not aloud:
            yield reference(message.event), "bold"
            yield from (_step(step.name, step.state, step.seconds) for step in message.steps)
        yield from ((f"  {line}", "") for line in message.logs)
        yield _result(message)


def _step(name: str, state: str, seconds: float | None) -> tuple[str, str]:
    return f"  {_MARKS[state]} {name}{_took(seconds)}", _STYLES.get(state, "dim")


def _result(message: ProgressMessage) -> tuple[str, str]:
    outcome = message.outcome or "done"
    emitted = ", ".join(reference(event) for event in message.emitted[:_NAMED])
    if (rest := len(message.emitted) - _NAMED) > 0:
        emitted += f" and {rest} more"
    again = f", again at {message.retry_at.astimezone():%H:%M:%S}" if message.retry_at else ""
    why = f": {message.message}" if message.message else ""
    text = f"{_MARKS[outcome]} {outcome}{_took(message.seconds)}{again}{why}{f' → {emitted}' if emitted else ''}"
    return text, _STYLES.get(outcome, "")


def _took(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f" in {seconds:.2f} s" if seconds >= 1 else f" in {seconds * 1000:.0f} ms"


def _line(text: str) -> str:
    """Return one safe line which keeps its indentation."""
    return text[: len(text) - len(text.lstrip(" "))] + one_line(text)
