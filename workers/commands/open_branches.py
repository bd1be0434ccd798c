"""What is not over yet, shown live below the lines of a run: one row a branch, for people at a terminal."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from schemas.progress import ProgressMessage
from workers.bus.doors.runs import Branch, Run
from workers.commands.output import one_line
from workers.commands.progress_lines import reference

_SHOWN = 8
"""Branches that have a row; more are counted."""
_INTERVAL = 0.1
"""Seconds between two pictures."""
_FRAMES = Spinner("dots").frames
_ORDER = ("running", "retry", "waiting", "queued")
_STYLES = {"running": "cyan", "retry": "yellow", "waiting": "yellow", "queued": "dim"}


class OpenBranches:
    """The open branches of some runs, as rich draws them."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = list(runs)
        self._steps: dict[tuple[str, str, str], str | None] = {}

    def hear(self, message: ProgressMessage) -> None:
        """Note the step that a branch is in."""
        if message.kind == "step":
            key = message.worker, message.event.source, message.event.id
            self._steps[key] = message.step if message.state == "began" else None

    def __rich__(self) -> RenderableType:
        """Return the rows."""
        return Text("\n").join(self._rows())

    def _rows(self) -> Iterator[Text]:
        branches = [branch for run in self._runs for branch in run.branches() if branch.state in _ORDER]
        branches.sort(key=lambda branch: _ORDER.index(branch.state))
        for branch in branches[:_SHOWN]:
            yield self._row(branch)
        if (rest := len(branches) - _SHOWN) > 0:
            yield Text(f"  and {rest} more", "dim")

    def _row(self, branch: Branch) -> Text:
        """Return `⠙ attest   image.pushed HOST/shop:1: sign (2 s)`."""
        turning = _FRAMES[int(time.monotonic() / _INTERVAL) % len(_FRAMES)] if branch.state == "running" else "·"
        row = Text.assemble(f"{turning} ", (f"{branch.worker:<8} ", "bold"), style=_STYLES[branch.state])
        what = self._steps.get((branch.worker, branch.event.source, branch.event.id)) or branch.state
        return row.append(f"{one_line(reference(branch.event))}: {one_line(what)}{_since(branch)}")


@asynccontextmanager
async def shown_live(console: Console, runs: Iterable[Run]) -> AsyncIterator[OpenBranches]:
    """Draw what is open below whatever the console prints while the block runs; nothing of it stays."""
    branches = OpenBranches(runs)
    with Live(branches, console=console, auto_refresh=False, transient=True) as live:
        drawing = asyncio.create_task(_draw(live), name="draw open branches")
        try:
            yield branches
        finally:
            drawing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await drawing


async def _draw(live: Live) -> None:
    while True:
        live.refresh()
        await asyncio.sleep(_INTERVAL)


def _since(branch: Branch) -> str:
    if branch.retry_at is not None:
        left = max(0.0, (branch.retry_at - datetime.now(UTC)).total_seconds())
        return f" (again in {left:.0f} s: {one_line(branch.message or branch.state)})"
    return f" ({(datetime.now(UTC) - branch.at).total_seconds():.0f} s)" if branch.at is not None else ""
