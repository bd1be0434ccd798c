"""`sealane streams`: what is on the bus against what should be, and who may do what there."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.commands.output import DATA, JSON, examples, write_json, write_records

if TYPE_CHECKING:
    from collections.abc import Sequence

streams = typer.Typer(
    help="Compare the streams with what is declared; make them match.",
    epilog=examples(
        "sealane streams show",
        "sealane streams apply --dry-run",
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(streams, name="streams")


@streams.command(epilog=examples("sealane streams show", "sealane streams show --json | jq -r .sentence"))
def show(*, as_json: JSON = False, data: DATA = None) -> None:
    """Say how the bus differs from what is declared. Changes nothing.

    Exit 1 if something lacks.
    """
    import asyncio

    raise typer.Exit(asyncio.run(_show(data, as_json=as_json)))


@streams.command(epilog=examples("sealane streams apply --dry-run", "sealane streams apply"))
def apply(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: JSON = False,
    data: DATA = None,
) -> None:
    """Make the bus match as far as nothing is lost. Exit 1 on a refusal.

    What is more than declared is reported and left alone: during an upgrade it belongs to the other version.
    """
    import asyncio

    raise typer.Exit(asyncio.run(_show(data, as_json=as_json) if dry_run else _apply(data, as_json=as_json)))


@streams.command(
    epilog=examples("sealane streams permissions", "sealane streams permissions --conf > authorization.conf")
)
def permissions(
    *,
    conf: Annotated[
        bool, typer.Option("--conf", help="Write the block for nats-server; makes the identities' seeds that lack.")
    ] = False,
    as_json: JSON = False,
    data: DATA = None,
) -> None:
    """Say what each identity may publish and subscribe to.

    It is derived from the signatures of the workers.
    """
    from workers.app.environment import load_settings
    from workers.bus.rooms import all_wirings
    from workers.bus.topology.identities import ensure_identities
    from workers.bus.topology.permissions import derive, permissions_table, render

    found = derive(all_wirings().values())
    if conf:
        typer.echo(render(found, ensure_identities(load_settings(data).data, found)), nl=False)
        return
    rows = permissions_table(found)
    flat = [
        {"identity": row["identity"], "may": may, "subject": subject}
        for row in rows
        for may, subjects in (("publish", row["publish"]), ("never", row["never"]), ("subscribe", row["subscribe"]))
        for subject in subjects
    ]
    columns = {name.upper(): lambda record, name=name: record[name] for name in ("identity", "may", "subject")}
    write_records(rows if as_json else flat, columns, as_json=as_json, empty="There are no identities.")


async def _show(data: Path | None, *, as_json: bool) -> int:
    from workers.app.connecting import connect_as
    from workers.app.environment import load_settings
    from workers.bus.rooms import all_wirings
    from workers.bus.topology.permissions import OPERATOR
    from workers.bus.topology.provision import find_drift
    from workers.bus.topology.streams import topology

    settings = load_settings(data)
    async with connect_as(OPERATOR, data, settings=settings) as connection:
        drifts = await find_drift(connection, topology(all_wirings().values(), settings.retention))
    words = {"extra": "tolerated"}
    records = [
        {**drift.as_json(), "outcome": words.get(drift.kind, "refused" if drift.refusal else "to apply")}
        for drift in drifts
    ]
    _write(records, as_json=as_json)
    return int(any(record["outcome"] != "tolerated" for record in records))


async def _apply(data: Path | None, *, as_json: bool) -> int:
    from workers.app.connecting import connect_as
    from workers.app.environment import load_settings
    from workers.bus.rooms import all_wirings
    from workers.bus.topology.permissions import PROVISIONER
    from workers.bus.topology.provision import apply as apply_topology
    from workers.bus.topology.streams import topology

    settings = load_settings(data)
    async with connect_as(PROVISIONER, data, settings=settings) as connection:
        outcomes = await apply_topology(connection, topology(all_wirings().values(), settings.retention))
    _write([outcome.as_json() for outcome in outcomes], as_json=as_json)
    return int(any(outcome.word == "refused" for outcome in outcomes))


def _write(records: "Sequence[dict[str, Any]]", *, as_json: bool) -> None:
    columns = {"OUTCOME": lambda record: record["outcome"], "WHAT": lambda record: record["sentence"]}
    if not records and not as_json:
        typer.echo("The bus is as declared.")
    elif as_json:
        for record in records:
            write_json(record)
    else:
        write_records(records, columns, as_json=False, empty="")
