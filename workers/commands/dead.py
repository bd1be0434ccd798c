"""`sealane dead`: looks at what workers gave up, gives it back to them, or drops it."""

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.commands import completion
from workers.commands.operating import as_operator
from workers.commands.output import (
    DATA,
    JSON,
    console,
    examples,
    local_time,
    one_line,
    write_json,
    write_records,
)
from workers.failures import Invalid
from workers.terminal import safe

if TYPE_CHECKING:
    from workers.bus.doors.graveyard import DeadLetter
    from workers.bus.transport.connection import Connection

dead = typer.Typer(
    help="Look at dead letters, replay or drop them.",
    epilog=examples(
        "sealane dead list --worker attest",
        "sealane dead show 7",
        "sealane dead replay 7",
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)
WORKER = Annotated[
    str | None, typer.Option("--worker", help="Only those that this worker gave up.", autocompletion=completion.workers)
]
TYPE = Annotated[
    str | None, typer.Option("--type", help="Only events of this type.", autocompletion=completion.event_types)
]
SEQUENCE = Annotated[int, typer.Argument(metavar="SEQ", min=1, help="Number in DEAD, as `dead list` shows it.")]
SEQUENCES = Annotated[list[int] | None, typer.Argument(metavar="SEQ…", min=1, help="Numbers in DEAD.")]
SET = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field: the replay is then a new event."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(dead, name="dead")


@dead.command("list", epilog=examples("sealane dead list", "sealane dead list --worker attest --json | jq -r .reason"))
def list_letters(*, worker: WORKER = None, event_type: TYPE = None, data: DATA = None, as_json: JSON = False) -> None:
    """List the dead letters, oldest first, and how often replayed."""

    async def read(connection: "Connection") -> "list[DeadLetter]":
        from workers.bus.doors.graveyard import read_letters, with_replays

        letters = [letter async for letter in read_letters(connection, worker=worker, event_type=event_type)]
        return await with_replays(connection, letters)

    records = [_record(letter) for letter in as_operator(data, read)]
    columns = {
        "SEQ": lambda record: record["sequence"],
        "WHEN": lambda record: local_time(record["at"]),
        "WORKER": lambda record: record["worker"],
        "TYPE": lambda record: record["type"],
        "ABOUT": lambda record: record.get("subject", ""),
        "REASON": lambda record: record["reason"],
        "REPLAYED": lambda record: len(record["replays"]) or "",
        "WHY": lambda record: record["message"],
    }
    write_records(records, columns, as_json=as_json, empty=f"There are no dead letters{_only(worker, event_type)}.")


@dead.command(epilog=examples("sealane dead show 7", "sealane dead show 7 --json | jq .body"))
def show(sequence: SEQUENCE, *, data: DATA = None, as_json: JSON = False) -> None:
    """Show all of a dead letter: event, failure, stack, replays."""

    async def read(connection: "Connection") -> "DeadLetter":
        from workers.bus.doors.graveyard import read_letter

        return await read_letter(connection, sequence)

    letter = as_operator(data, read)
    record = _record(letter) | {"stack": letter.stack, "headers": dict(letter.stored.headers), "body": letter.content}
    if letter.block is not None:
        record["header_block"] = base64.b64encode(letter.block).decode()
    if as_json:
        write_json(record)
        return
    screen = console()
    for name, value in record.items():
        if name not in {"stack", "headers", "body", "replays"} and value not in {"", None}:
            screen.print(f"{name:<16} {one_line(str(value))}", markup=False, soft_wrap=True)
    for replayed in letter.replays:
        line = f"{'replayed':<16} {replayed.at} by {replayed.by} ({replayed.stream} {replayed.sequence})"
        screen.print(one_line(line), markup=False, soft_wrap=True)
    pretty = json.dumps(letter.content, indent=2, ensure_ascii=False)
    for title, text in (("body", pretty), ("stack", letter.stack)):
        if text:
            screen.print(f"\n{title}:\n{safe(text)}", markup=False, soft_wrap=True)


@dead.command(
    epilog=examples(
        "sealane dead replay 7 8",
        "sealane dead replay --all --worker attest",
        "sealane dead replay 7 --set image=europe-docker.pkg.dev/acme/apps/shop:1.4.3",
    )
)
def replay(
    sequences: SEQUENCES = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All of a worker's; needs --worker.")] = False,
    worker: WORKER = None,
    event_type: TYPE = None,
    assignments: SET = None,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Give dead letters back to the workers which gave them up.

    Their attempts are forgotten. With --all, those that were replayed already are left out. A replay keeps the
    event's identity; with --set it is a new event, caused by the original.
    """
    _check_choice(sequences, every=every, worker=worker, event_type=event_type)

    async def work(connection: "Connection") -> int:
        letters = await _chosen(connection, sequences or (), worker, event_type)
        return await _replay(connection, letters, assignments, as_json=as_json)

    raise typer.Exit(as_operator(data, work))


@dead.command(epilog=examples("sealane dead drop 7", "sealane dead drop 7 8 --yes"))
def drop(
    sequences: Annotated[list[int], typer.Argument(metavar="SEQ…", min=1, help="Numbers in DEAD.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: DATA = None,
) -> None:
    """Delete dead letters for good; asks first."""
    from workers.commands.person import ask

    ask(f"Drop {len(sequences)} dead letter(s) for good?", yes=yes, otherwise="drop dead letters for good")

    async def work(connection: "Connection") -> None:
        from workers.bus.doors.graveyard import drop as drop_letter

        for sequence in sequences:
            await drop_letter(connection, sequence)
            typer.echo(f"dropped {sequence}")

    as_operator(data, work)


def _only(worker: str | None, event_type: str | None) -> str:
    """Say which were asked for, so that a mistyped name is seen."""
    of_type = f" of type {one_line(event_type)!r}" if event_type else ""
    return of_type + (f" that {one_line(worker)!r} gave up" if worker else "")


def _check_choice(sequences: Sequence[int] | None, *, every: bool, worker: str | None, event_type: str | None) -> None:
    if bool(sequences) == every:
        raise Invalid("say which to replay: either their numbers, or --all --worker WORKER")
    if sequences and (worker or event_type):
        raise Invalid("--worker and --type choose among --all: leave them out, or say --all instead of numbers")
    if every and worker is None:
        raise Invalid("--all needs --worker WORKER: what one worker gave up says nothing about the others")


async def _chosen(
    connection: "Connection", sequences: Sequence[int], worker: str | None, event_type: str | None
) -> "list[DeadLetter]":
    from workers.bus.doors.graveyard import read_letter, read_letters, with_replays

    if sequences:
        return [await read_letter(connection, sequence) for sequence in dict.fromkeys(sequences)]
    letters = [letter async for letter in read_letters(connection, worker=worker, event_type=event_type)]
    return [letter for letter in await with_replays(connection, letters) if not letter.replays]


async def _replay(
    connection: "Connection", letters: "Sequence[DeadLetter]", assignments: Sequence[str] | None, *, as_json: bool
) -> int:
    from workers.bus.doors.graveyard import replay as replay_letter
    from workers.bus.doors.graveyard import require_editable
    from workers.bus.transport.publisher import Publisher
    from workers.commands.bodies import body_from_fields
    from workers.commands.person import who

    changes = {}
    for letter in letters:
        if assignments:
            require_editable(letter)
        changes[letter.sequence] = json.loads(body_from_fields(letter.type, assignments)) if assignments else None
    publisher, code = Publisher(connection), 0
    await publisher.start()
    try:
        for letter in letters:
            try:
                envelope, ack = await replay_letter(publisher, letter, by=who(), changes=changes[letter.sequence])
            except Invalid as error:
                typer.echo(f"sealane: {error}", err=True)
                code = 2
                continue
            record = {"replayed": letter.sequence, "id": envelope.id, "run": envelope.run}
            if as_json:
                write_json(record | {"stream": ack.stream, "sequence": ack.sequence})
            else:
                typer.echo(one_line(f"replayed {letter.sequence}  id {envelope.id}  run {envelope.run}"))
    finally:
        await publisher.close()
    if not letters:
        typer.echo("There is nothing to replay.", err=True)
    return code


def _record(letter: "DeadLetter") -> dict[str, Any]:
    """Return a dead letter as a JSON object, without body and stack."""
    envelope = letter.envelope
    identity = (
        {}
        if envelope is None
        else {name: getattr(envelope, name) for name in ("subject", "source", "id", "run", "cause", "actor", "time")}
    )
    return {
        "sequence": letter.sequence,
        "at": letter.stored.at.isoformat(timespec="seconds"),
        "worker": letter.worker,
        "type": letter.type,
        "reason": letter.reason,
        "error": letter.error,
        "message": letter.message,
        "attempts": letter.attempts,
        "origin": f"{letter.origin_stream} {letter.origin_sequence or ''}".rstrip(),
        **({"replay_of": letter.replay_of} if letter.replay_of else {}),
        **{name: value for name, value in identity.items() if value is not None},
        "replays": [{"at": each.at, "by": each.by, "sequence": each.sequence} for each in letter.replays],
    }
