"""`sealane publish`: puts events on the bus, and on request follows what becomes of them."""

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workers.commands import completion
from workers.commands.output import DATA, JSON, examples, one_line, write_json
from workers.failures import Invalid, SealaneError

if TYPE_CHECKING:
    from workers.bus.doors.entrance import Entered, Entry

SOURCE = "/sealane/publish"
TYPE = Annotated[
    str,
    typer.Argument(
        metavar="TYPE", help="Type of event: `sealane schema list` names them.", autocompletion=completion.event_types
    ),
]
FILE = Annotated[
    Path | None,
    typer.Option("-f", "--file", metavar="FILE", help="One JSON object, or JSON lines for many events; - is stdin."),
]
SET = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Set a field; may be given many times.")
]
ID = Annotated[
    str | None, typer.Option("--id", help="Id of the event, the same when you repeat it; default: a random one.")
]
RUN = Annotated[str | None, typer.Option("--run", help="Run to join; default: one of its own, from source and id.")]
WAIT = Annotated[bool, typer.Option("--wait", help="Follow until all is over; exit 0 only if nothing failed.")]
TIMEOUT = Annotated[float | None, typer.Option("--timeout", min=0, metavar="SECONDS", help="Wait at most this long.")]
_EXAMPLES = examples(
    "sealane publish echo.requested --set message=hello --wait",
    "sealane publish image.pushed --set image=europe-docker.pkg.dev/acme/apps/shop:1.4.2 --id build-17",
    "sealane publish image.pushed -f events.jsonl --json",
    "sealane publish image.pushed -f - < events.jsonl",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("publish", epilog=_EXAMPLES)(publish)


def publish(
    event_type: TYPE,
    *,
    file: FILE = None,
    assignments: SET = None,
    event_id: ID = None,
    source: Annotated[str, typer.Option("--source", help="Who says it.")] = SOURCE,
    run: RUN = None,
    wait: WAIT = False,
    timeout: TIMEOUT = None,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Publish one or many events, checked against the catalogue.

    All are checked before any is stored. Publishing the same source and id again stores nothing anew. Exit codes: 0
    stored (with --wait: and nothing failed), 1 it failed, 2 an event is wrong, 130 interrupted.
    """
    if timeout is not None and not wait:
        raise Invalid("--timeout says how long to --wait: give both, or neither")
    entries = _entries(event_type, file, assignments, event_id, source, run)
    try:
        code = asyncio.run(publish_entries(entries, data, wait=wait, timeout=timeout, as_json=as_json))
    except KeyboardInterrupt:
        if wait:
            go_on = f"`sealane tail {entries[0].envelope.run}` goes on following"
            typer.echo(f"\nsealane: interrupted, but what is on the bus is worked on; {go_on}", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(code)


def _entries(
    event_type: str,
    file: Path | None,
    assignments: Sequence[str] | None,
    event_id: str | None,
    source: str,
    run: str | None,
) -> "list[Entry]":
    from workers.bus.doors.entrance import check, event_class
    from workers.commands.bodies import bodies_from_file, body_from_fields
    from workers.commands.person import who

    event_class(event_type)
    if (file is None) == (not assignments):
        raise Invalid("say what to publish: either -f FILE, or --set FIELD=VALUE for every field")
    bodies = bodies_from_file(file) if file else [("", body_from_fields(event_type, assignments or ()))]
    if event_id is not None and len(bodies) != 1:
        raise Invalid(f"--id names one event, but the file holds {len(bodies)}: leave it out, or publish one by one")
    if not bodies:
        raise Invalid("the file holds no event")
    entries = []
    for where, body in bodies:
        chosen = event_id if event_id is not None else str(uuid.uuid4())
        try:
            entries.append(check(event_type, body, source=source, event_id=chosen, actor=who(), run=run))
        except Invalid as error:
            raise Invalid(f"{where}: {error}; nothing was published" if where else str(error)) from None
    return entries


async def publish_entries(
    entries: "list[Entry]",
    data: Path | None,
    *,
    wait: bool,
    timeout: float | None,
    as_json: bool,
    worker: str | None = None,
) -> int:
    """Store the events, say so, and with `wait` follow their runs (with `worker`, its part); return the exit code."""
    from workers.app.connecting import connect_as
    from workers.bus.doors.entrance import check_size, enter_all
    from workers.bus.doors.follow import last_sequence
    from workers.bus.topology.streams import PROGRESS
    from workers.bus.transport.publisher import Publisher
    from workers.commands.waiting import wait_for

    async with connect_as("operator", data) as connection:
        for entry in entries:
            check_size(connection, entry)
        heard = await last_sequence(connection, PROGRESS) if wait else 0
        publisher = Publisher(connection)
        await publisher.start()
        try:
            outcomes = await enter_all(connection, publisher, entries)
        finally:
            await publisher.close()
        entered = _tell(outcomes, as_json=as_json)
        code = 0 if len(entered) == len(entries) else 1
        if wait and entered:
            waited = wait_for(connection, entered, heard=heard, timeout=timeout, as_json=as_json, worker=worker)
            code = max(code, await waited)
        return code


def _tell(outcomes: "Sequence[Entered | SealaneError]", *, as_json: bool) -> "list[Entered]":
    """Write what became of each event and return those that are on the bus."""
    entered = []
    for outcome in outcomes:
        if isinstance(outcome, SealaneError):
            typer.echo(f"sealane: {outcome}", err=True)
            continue
        entered.append(outcome)
        envelope, ack = outcome.entry.envelope, outcome.ack
        if as_json:
            identity = {"type": envelope.type, "source": envelope.source, "id": envelope.id, "run": envelope.run}
            stored = {"stream": ack.stream, "sequence": ack.sequence, "duplicate": ack.duplicate}
            write_json({"kind": "published"} | identity | stored)
        else:
            again = "  (was there already, nothing new was stored)" if ack.duplicate else ""
            where = f"id {envelope.id}  run {envelope.run}  {ack.stream} {ack.sequence}{again}"
            typer.echo(one_line(f"{envelope.type}  {where}"))
    return entered
