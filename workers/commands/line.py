"""`sealane line`: sees whether workers run, stops one for all its replicas, lets it run again."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.commands import completion
from workers.commands.operating import as_operator
from workers.commands.output import DATA, JSON, examples, local_time, one_line, write_records
from workers.failures import Invalid

if TYPE_CHECKING:
    from workers.bus.judgement.line import LineState
    from workers.bus.transport.connection import Connection

line = typer.Typer(
    help="See, stop and resume the lines of workers.",
    epilog=examples(
        "sealane line show",
        "sealane line stop attest --reason 'the registry is being moved'",
        "sealane line resume attest",
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)
WORKER = Annotated[str, typer.Argument(metavar="WORKER", help="Name of the worker.", autocompletion=completion.workers)]
ONE = Annotated[
    str | None, typer.Argument(metavar="WORKER", help="Only this worker.", autocompletion=completion.workers)
]
REASON = Annotated[str, typer.Option("--reason", help="Why, for those who find it stopped.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(line, name="line")


@line.command(epilog=examples("sealane line show", "sealane line show attest --json"))
def show(worker: ONE = None, *, data: DATA = None, as_json: JSON = False) -> None:
    """Show whether each line runs; if not, since when, by whom, and why."""
    names = [_known(worker)] if worker else _names()

    async def read(connection: "Connection") -> "list[LineState]":
        from workers.bus.judgement.line import read_line

        return [(await read_line(connection, name))[0] for name in names]

    records = [_record(name, state) for name, state in zip(names, as_operator(data, read), strict=True)]
    columns = {
        "WORKER": lambda record: record["worker"],
        "LINE": lambda record: record["state"],
        "SINCE": lambda record: local_time(record["since"]),
        "BY": lambda record: record["by"] or "",
        "WHY": lambda record: record["reason"] or "",
        "GOES ON": lambda record: record["goes_on"],
    }
    write_records(records, columns, as_json=as_json, empty="There are no workers.")


@line.command(epilog=examples("sealane line stop attest --reason 'the registry is being moved'"))
def stop(worker: WORKER, *, reason: REASON = "stopped by hand", data: DATA = None) -> None:
    """Stop a worker's line for all its replicas, until it is resumed. What it holds goes back to the bus.

    Each replica looks once a second: an event that comes right after this may still be worked on.
    """
    name = _known(worker)

    async def change(connection: "Connection") -> "LineState | None":
        from workers.bus.judgement.line import stop_line
        from workers.bus.transport.publisher import Publisher
        from workers.commands.person import who

        publisher = Publisher(connection)
        await publisher.start()
        try:
            return await stop_line(connection, publisher, name, by=who(), reason=reason)
        finally:
            await publisher.close()

    changed = as_operator(data, change)
    typer.echo(f"the line of {name} {'is stopped for all replicas' if changed else 'was stopped already'}")
    typer.echo(f"`sealane line resume {name}` lets it run again", err=True)


@line.command(epilog=examples("sealane line resume attest"))
def resume(worker: WORKER, *, data: DATA = None) -> None:
    """Let a worker's line run again, for all its replicas."""
    name = _known(worker)

    async def change(connection: "Connection") -> "LineState | None":
        from workers.bus.judgement.line import resume_line
        from workers.bus.transport.publisher import Publisher
        from workers.commands.person import who

        publisher = Publisher(connection)
        await publisher.start()
        try:
            return await resume_line(connection, publisher, name, by=who())
        finally:
            await publisher.close()

    changed = as_operator(data, change)
    typer.echo(f"the line of {name} {'runs again' if changed else 'was running'}")


def _names() -> list[str]:
    from workers.bus.rooms import cards

    return sorted(cards())


def _known(worker: str) -> str:
    names = _names()
    if worker not in names:
        raise Invalid(f"there is no worker {one_line(worker)!r}: the workers are {', '.join(names)}")
    return worker


def _record(worker: str, state: "LineState") -> dict[str, Any]:
    stopped = state.state == "stopped"
    return {
        "worker": worker,
        "state": state.state,
        "since": state.since.isoformat() if state.since else None,
        "by": state.by,
        "reason": state.reason,
        "automatic": state.automatic if stopped else None,
        "goes_on": state.remedy(worker) if stopped else "",
    }
