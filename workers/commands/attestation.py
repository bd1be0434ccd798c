"""`sealane attestation`: what was attested, whether it counts, and taking it back."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.commands.attestor import YES, confirm, say, with_ports
from workers.commands.output import DATA, JSON, examples, local_time, one_line, write_json, write_records
from workers.commands.since import when
from workers.failures import Invalid

if TYPE_CHECKING:
    from workers.app.attestations import Asked
    from workers.app.attestors import AttestorPorts
    from workers.ports import Attestation

attestation = typer.Typer(
    help="List attestations, ask whether they count, delete them.",
    epilog=examples(
        "sealane attestation list gcr.io/acme/shop:1.4.2 --verify",
        "sealane attestation delete projects/acme/occurrences/0f3b…",
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)
ATTESTOR = Annotated[str | None, typer.Option("--attestor", metavar="A", help="Those of this attestor's note.")]
NOTE = Annotated[str | None, typer.Option("--note", metavar="N", help="Those of this note.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(attestation, name="attestation")


@attestation.command(
    "list",
    epilog=examples(
        "sealane attestation list europe-docker.pkg.dev/acme/apps/shop:1.4.2 --verify",
        "sealane attestation list --attestor built-by-ci --since 7d",
        "sealane attestation list --note projects/acme/notes/built-by-ci --since 2026-01-31 --json",
    ),
)
def list_attestations(
    image: Annotated[
        str | None, typer.Argument(metavar="[IMAGE]", help="HOST/PATH:TAG or HOST/PATH@sha256:…; default: all.")
    ] = None,
    attestor: ATTESTOR = None,
    note: NOTE = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", metavar="WHEN", parser=when, help="A date, a time, or how long ago: 12h, 7d."),
    ] = None,
    data: DATA = None,
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Ask Binary Authorization about each.")] = False,
    as_json: JSON = False,
) -> None:
    """List attestations, of an image or of all images.

    An IMAGE alone is looked for in the notes of the attestors that sign it by rule. With --verify the exit code is 1
    when one of them does not count.
    """
    asked = _asked(image, attestor, note, since)

    async def work(ports: "AttestorPorts") -> list[dict[str, Any]]:
        from workers.app.attestations import AttestationDesk

        found = []
        async for record in AttestationDesk(ports, say).listed(asked, verify=verify):
            found.append(record)
            if as_json:
                write_json(record)
        return found

    records = with_ports(work, data)
    if not as_json:
        _write_table(records, verify=verify)
    if any(one["verdict"] != "VERIFIED" for record in records for one in record.get("verdicts", ())):
        raise typer.Exit(1)


@attestation.command(
    epilog=examples(
        "sealane attestation delete projects/acme/occurrences/0f3b…",
        "sealane attestation delete --image gcr.io/acme/shop@sha256:… --key ni:///sha-256;… --yes",
    )
)
def delete(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME…]", help="Attestations, as `attestation list` shows them.")
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", metavar="IMAGE", help="Those of an image; needs --key.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEYID", help="Those signed by this key; needs --image.")
    ] = None,
    attestor: ATTESTOR = None,
    note: NOTE = None,
    data: DATA = None,
    *,
    yes: YES = False,
    as_json: JSON = False,
) -> None:
    """Delete attestations for good; asks first.

    What runs goes on running; the image is not admitted anew without them.
    """
    if bool(names) == (image is not None or key is not None) or (image is None) != (key is None):
        raise Invalid("say which to delete: either their names, or --image IMAGE --key KEYID")
    asked = _asked(image, attestor, note, None) if image else None
    if asked is None and (attestor or note):
        raise Invalid("--attestor and --note say where to look for --image and --key: drop them beside names")

    async def work(ports: "AttestorPorts") -> None:
        from workers.app.attestations import AttestationDesk, described

        desk = AttestationDesk(ports, say)
        found = await (desk.of_key(asked, key or "") if asked else desk.named(names or ()))
        if not yes:
            _show(found)
        confirm(f"Delete {len({one.name for one in found})} attestation(s) for good?", yes=yes)
        if ports.warning is not None:
            say(f"warning: {ports.warning}; a worker that attested it may not do so again for a while")
        async for one in desk.delete(found):
            if as_json:
                write_json({"deleted": one.name} | described(one))
            else:
                typer.echo(one_line(f"deleted {one.name}"))

    with_ports(work, data, claiming=True)


def _asked(image: str | None, attestor: str | None, note: str | None, since: datetime | None) -> "Asked":
    """Return what was typed, checked before anything is opened. Raises Invalid."""
    from workers.app.attestations import Asked

    asked = Asked(image, attestor, note, since)
    asked.check()
    return asked


def _write_table(records: Sequence[dict[str, Any]], *, verify: bool) -> None:
    columns: dict[str, Callable[[Any], object]] = {
        "WHEN": lambda record: local_time(record["created_at"]),
        "IMAGE": lambda record: record["image"],
        "KEY": lambda record: record["key_id"],
        "OCCURRENCE": lambda record: record["occurrence"],
    }
    if verify:
        columns["VERDICT"] = lambda record: "; ".join(map(_judged, record["verdicts"]))
    ordered = sorted(records, key=lambda record: (record["created_at"] or "", record["occurrence"]))
    write_records(ordered, columns, as_json=False, empty="There are no such attestations.")


def _judged(verdict: dict[str, str]) -> str:
    who = verdict["attestor"].rpartition("/")[2]
    return f"{who}: {verdict['verdict']}" + (f" ({verdict['reason']})" if verdict["reason"] else "")


def _show(found: "Sequence[Attestation]") -> None:
    from workers.app.attestations import described

    for record in map(described, found):
        say(f"{record['occurrence']}  {record['image']}  by {record['key_id']}  {local_time(record['created_at'])}")
