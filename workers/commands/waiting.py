"""Waits for runs to complete, and says live what happens in them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import typer

from workers.bus.doors.entrance import Entered
from workers.bus.doors.follow import follow_progress
from workers.bus.doors.runs import Run
from workers.bus.judgement.line import read_line
from workers.bus.rooms import consumers_of
from workers.bus.transport.connection import Connection
from workers.commands.output import one_line
from workers.commands.progress_lines import ProgressLines, failure_sentence, open_sentence
from workers.failures import SealaneError

if TYPE_CHECKING:
    from workers.commands.open_branches import OpenBranches

_OVER = frozenset({"done", "dead"})
_LOOK_AT_LINES = 1.0
"""Seconds between looks at the lines of the workers that a run waits for."""


async def wait_for(
    connection: Connection,
    entered: Sequence[Entered],
    *,
    heard: int,
    timeout: float | None,
    as_json: bool,
    worker: str | None = None,
) -> int:
    """Follow the runs of events until all are complete; return 0 only if nothing failed.

    `heard` is the last sequence of PROGRESS before the events were published: nobody spoke of the new ones earlier.
    With `worker` only its part of the runs counts, for runs of which more is said than is kept.
    """

    def awaited(event_type: str) -> tuple[str, ...]:
        return tuple(name for name in consumers_of(event_type) if worker in {None, name})

    runs: dict[str, Run] = {}
    for event in entered:
        name = event.entry.envelope.run
        runs.setdefault(name, Run(name, awaited)).expect(event.reference)
    start = heard + 1 if len(runs) > 1 and not any(event.ack.duplicate for event in entered) else 1
    return await follow_runs(connection, runs, start=start, timeout=timeout, as_json=as_json, worker=worker)


async def follow_runs(
    connection: Connection,
    runs: dict[str, Run],
    *,
    timeout: float | None,
    as_json: bool,
    start: int = 1,
    worker: str | None = None,
) -> int:
    """Follow these runs, or what one worker says of them, until all are complete; return 0 only if nothing failed.

    Many runs are followed together, which reads the progress of all others since `start`, too.
    """
    lines = ProgressLines(as_json=as_json)
    waiting = set(runs)
    for name in sorted(waiting):
        _end_if_complete(runs[name], waiting, lines)
    watching = asyncio.create_task(_say_what_is_stopped(connection, runs, waiting), name="watch the lines")
    try:
        async with asyncio.timeout(timeout), _picture(lines, runs, as_json=as_json) as open_branches:
            only = next(iter(runs)) if len(runs) == 1 else "*"
            async with aclosing(follow_progress(connection, run=only, worker=worker or "*", start=start)) as messages:
                while waiting:
                    sequence, message = await anext(messages)
                    if message.run in waiting:
                        run = runs[message.run]
                        run.add(sequence, message)
                        if open_branches is not None:
                            open_branches.hear(message)
                        lines.write(sequence, message)
                        _end_if_complete(run, waiting, lines)
    except TimeoutError:
        _say_open([runs[name] for name in sorted(waiting)], timeout)
        return 1
    finally:
        watching.cancel()
    failures = [branch for run in runs.values() for branch in run.failures]
    for branch in failures:
        typer.echo(f"sealane: {failure_sentence(branch)}", err=True)
    return 1 if failures else 0


@asynccontextmanager
async def _picture(
    lines: ProgressLines, runs: dict[str, Run], *, as_json: bool
) -> "AsyncIterator[OpenBranches | None]":
    """Show to a person at a terminal what is not over, while the block runs."""
    if as_json or not lines.console.is_terminal or lines.console.is_dumb_terminal or lines.console.color_system is None:
        yield None
        return
    from workers.commands.open_branches import shown_live

    async with shown_live(lines.console, runs.values()) as open_branches:
        yield open_branches


async def _say_what_is_stopped(connection: Connection, runs: dict[str, Run], waiting: set[str]) -> None:
    """Say, each time a line is stopped that a run waits for, why nothing happens."""
    stopped: set[str] = set()
    while True:
        await asyncio.sleep(_LOOK_AT_LINES)
        branches = (branch for name in sorted(waiting) for branch in runs[name].branches())
        for worker in dict.fromkeys(branch.worker for branch in branches if branch.state not in _OVER):
            try:
                line, _ = await read_line(connection, worker)
            except SealaneError:
                continue  # The server is away: whoever follows waits for it.
            said = line.sentence()
            if said is not None and worker not in stopped:
                typer.echo(f"sealane: the line of {worker} is {one_line(said)}; {line.remedy(worker)}", err=True)
            stopped = stopped - {worker} if said is None else stopped | {worker}


def _end_if_complete(run: Run, waiting: set[str], lines: ProgressLines) -> None:
    if run.complete:
        waiting.discard(run.id)
        lines.write_end(run)


def _say_open(runs: Sequence[Run], timeout: float | None) -> None:
    for run in runs:
        still = "; ".join(open_sentence(branch) for branch in run.branches() if branch.state not in _OVER)
        typer.echo(f"sealane: run {run.id} is not over after {timeout:g} s: {still}", err=True)
        typer.echo(f"sealane: `sealane tail {run.id}` goes on following", err=True)
