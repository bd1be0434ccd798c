"""`sealane tail` and `sealane runs`: what happens on the bus, live and in retrospect."""

import asyncio
import json
import re
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.commands.output import DATA, JSON, console, examples, local_time, one_line, write_json, write_records
from workers.failures import Invalid

if TYPE_CHECKING:
    from workers.bus.doors.runs import Run
    from workers.bus.transport.connection import Connection
    from workers.bus.transport.stored import Stored

WHAT = Annotated[
    str | None,
    typer.Argument(metavar="RUN|SUBJECT", help="A run's id, or a subject: image.pushed, progress.attest.>, dead.>."),
]
FROM_START = Annotated[bool, typer.Option("--from-start", help="Begin with the oldest that is kept.")]
FROM_SEQUENCE = Annotated[
    int | None, typer.Option("--from-seq", min=1, metavar="N", help="Begin with this sequence of the stream.")
]
_SILENCE = 2.0
"""Seconds after which it is said that nothing is heard of a run."""
_RUN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NO_RUNS = "No run has been heard of yet: `sealane publish` begins one."
LIMIT = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many runs.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "tail",
        epilog=examples(
            "sealane tail",
            "sealane tail qLs4fX0bq2wQwKqGm1JYtPZk",
            "sealane tail image.pushed --from-start --json",
            "sealane tail 'dead.>' --from-seq 1",
        ),
    )(tail)
    app.command("runs", epilog=examples("sealane runs", "sealane runs --limit 3 --json | jq ."))(list_runs)


def tail(
    what: WHAT = None,
    *,
    from_start: FROM_START = False,
    from_sequence: FROM_SEQUENCE = None,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Follow a run until it is over, or a subject until Ctrl-C.

    Without either, all progress from now on. A run is shown from its start, and exit 0 means that nothing of it
    failed. Events and dead letters can be followed by their subjects.
    """
    if from_start and from_sequence:
        raise Invalid("--from-start and --from-seq exclude each other: give one of them")
    if what is not None and not set(what) & set(".*>") and not _RUN.fullmatch(what):
        raise Invalid(f"{what!r} is neither a run's id (`sealane runs`) nor a subject like image.pushed or progress.>")
    if what is not None and (set(what) & set(" \t\r\n") or "" in what.split(".")):
        raise Invalid(f"{what!r} is not a subject: words joined by dots, like image.pushed, dead.> or progress.echo.>")
    start = from_sequence or (1 if from_start else None)
    try:
        code = asyncio.run(_tail(what, start, data, as_json=as_json))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(code)


def list_runs(*, limit: LIMIT = 20, data: DATA = None, as_json: JSON = False) -> None:
    """List the runs that spoke last, newest first."""
    records = asyncio.run(_runs(limit, data))
    columns = {
        "RUN": lambda record: record["run"],
        "STATE": lambda record: record["state"],
        "BEGAN": lambda record: local_time(record["started_at"]),
        "SECONDS": lambda record: "" if record["seconds"] is None else f"{record['seconds']:.2f}",
        "BRANCHES": lambda record: _branches(record["branches"]),
        "ABOUT": lambda record: ", ".join(_about(root) for root in record["roots"][:3]),
    }
    write_records(records, columns, as_json=as_json, empty=_NO_RUNS)


async def _tail(what: str | None, start: int | None, data: Path | None, *, as_json: bool) -> int:
    from workers.app.connecting import connect_as
    from workers.bus.doors.runs import Run
    from workers.bus.rooms import consumers_of
    from workers.commands.waiting import follow_runs

    async with connect_as("operator", data) as connection:
        if what is not None and not set(what) & {".", "*", ">"}:
            runs = {what: Run(what, consumers_of)}
            hint = asyncio.get_running_loop().call_later(_SILENCE, _say_unheard, runs[what])
            try:
                return await follow_runs(connection, runs, timeout=None, as_json=as_json, start=start or 1)
            finally:
                hint.cancel()
        await _tail_subject(connection, what or "progress.>", start, as_json=as_json)
        return 0


def _say_unheard(run: "Run") -> None:
    """Tell who mistyped a run, and would wait for ever."""
    if not run.branches():
        said = f"nothing is heard of run {run.id} yet, waiting for it; Ctrl-C ends (`sealane runs` lists the runs)"
        typer.echo(f"sealane: {said}", err=True)


async def _tail_subject(connection: "Connection", subject: str, start: int | None, *, as_json: bool) -> None:
    from workers.bus.doors.follow import follow, read_progress
    from workers.bus.topology.streams import PROGRESS
    from workers.commands.progress_lines import ProgressLines

    stream, announced_on = _place_of(subject)
    lines = ProgressLines(as_json=as_json)
    async with aclosing(follow(connection, stream, subject, start=start, announced_on=announced_on)) as messages:
        async for stored in messages:
            message = read_progress(stored) if stream == PROGRESS else None
            if message is not None:
                lines.write(stored.sequence, message)
            elif stream != PROGRESS:
                _write_stored(stored, as_json=as_json)


def _place_of(subject: str) -> tuple[str, list[str]]:
    """Return the stream that holds a subject, and the subjects to listen on. Raises Invalid."""
    from schemas.catalogue import CATALOGUE
    from workers.bus.topology.streams import DEAD, EVENTS, PROGRESS

    first = subject.partition(".")[0]
    if first in {"progress", "dead"}:
        return (PROGRESS if first == "progress" else DEAD), [subject]
    types = [event_type for event_type in CATALOGUE if _covers(subject, event_type)]
    if not types:
        raise Invalid(
            f"no stream holds the subject {subject!r}: follow an event type like image.pushed or image.*, progress.>, "
            "dead.>, or a run's id"
        )
    return EVENTS, types


def _covers(pattern: str, subject: str) -> bool:
    """Return whether a NATS subject with wildcards covers a plain one."""
    wanted, tokens = pattern.split("."), subject.split(".")
    if wanted[-1] == ">" and len(tokens) >= len(wanted):
        wanted, tokens = wanted[:-1], tokens[: len(wanted) - 1]
    return len(wanted) == len(tokens) and all(want in {"*", token} for want, token in zip(wanted, tokens, strict=True))


def _write_stored(stored: "Stored", *, as_json: bool) -> None:
    """Write an event, a retry or a dead letter."""
    body = stored.body.decode(errors="replace")
    if as_json:
        try:
            content: Any = json.loads(body)
        except ValueError:
            content = body
        place = {"stream": stored.stream, "sequence": stored.sequence, "subject": stored.subject}
        write_json(place | {"at": stored.at.isoformat(), "headers": dict(stored.headers), "data": content})
        return
    line = f"{stored.at.astimezone():%H:%M:%S} {stored.stream} {stored.sequence} {stored.subject} {body}"
    console().print(one_line(line), markup=False, soft_wrap=True)


async def _runs(limit: int, data: Path | None) -> list[dict[str, Any]]:
    from workers.app.connecting import connect_as
    from workers.bus.doors.history import newest_runs
    from workers.bus.doors.records import run_record
    from workers.bus.rooms import consumers_of

    async with connect_as("operator", data) as connection:
        return [dict(run_record(run)) for run in await newest_runs(connection, consumers_of, limit=limit)]


def _branches(branches: list[dict[str, Any]]) -> str:
    """Return, for each worker, how its branches are."""
    found: dict[str, list[str]] = {}
    for branch in branches:
        found.setdefault(branch["worker"], []).append(branch["state"])
    return ", ".join(
        f"{worker} {states[0] if len(set(states)) == 1 else '/'.join(sorted(set(states)))}"
        + (f" ({len(states)})" if len(states) > 1 else "")
        for worker, states in found.items()
    )


def _about(root: dict[str, Any]) -> str:
    return f"{root['type']} {root.get('subject') or root['id']}"
