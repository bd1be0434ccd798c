"""`sealane attestor`: attestors as data, with their notes and their keys."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.commands.output import DATA, JSON, console, examples, one_line, write_json, write_records
from workers.failures import Invalid

if TYPE_CHECKING:
    from workers.app.attestors import AttestorPorts, Outcome
    from workers.attestors.wanted import WantedAttestor

attestor = typer.Typer(
    help="Set attestors up, with notes and keys; show and remove them.",
    epilog=examples(
        "sealane attestor list",
        "sealane attestor show built-by-ci",
        "sealane attestor rotate built-by-ci --wait",
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)
NAME = Annotated[str, typer.Argument(metavar="NAME", help="projects/P/attestors/A, or A in this project.")]
YES = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(attestor, name="attestor")


@attestor.command(
    epilog=examples(
        "sealane attestor ensure built-by-ci --key gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K/"
        "cryptoKeyVersions/1",
        "sealane attestor ensure released --note projects/P/notes/released --key release.pub --key backup.asc",
        "sealane attestor ensure -f attestors.yaml --dry-run",
        "sealane attestor ensure -f attestors.yaml --prune --json",
    )
)
def ensure(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The attestor; or name a file with -f.")] = None,
    note: Annotated[
        str | None, typer.Option("--note", metavar="N", help="Its note; default: of the same name.")
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEYREF", help="As in a signing rule, or a public key's file; repeatable."),
    ] = None,
    description: Annotated[str | None, typer.Option("--description", metavar="D", help="For people.")] = None,
    hint: Annotated[str | None, typer.Option("--hint", metavar="H", help="What a new note says of itself.")] = None,
    file: Annotated[
        str | None, typer.Option("-f", "--file", metavar="FILE", help="Attestors in YAML or JSON; - is stdin.")
    ] = None,
    data: DATA = None,
    *,
    prune: Annotated[bool, typer.Option("--prune", help="Remove the keys that are not named.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    as_json: JSON = False,
) -> None:
    """Make note, attestor and keys what is wanted.

    What is so already stays; repeat it at any time. Keys are added, and removed only with --prune.
    """
    if (name is None) == (file is None):
        raise Invalid("say which attestor: either its NAME, or a file of several with -f")
    if file is not None and (note or keys or description is not None or hint):
        raise Invalid("with -f the file says note, keys, description and hint: drop the options")

    async def work(ports: "AttestorPorts") -> None:
        from workers.app.attestors import Setup

        setup = Setup(ports, say, prune=prune, dry_run=dry_run)
        for one in _wanted(ports.project, name, file, note=note, keys=keys, description=description, hint=hint):
            _write(await setup.ensure(one), dry_run=dry_run, as_json=as_json)

    with_ports(work, data)


@attestor.command("list", epilog=examples("sealane attestor list", "sealane attestor list --project acme --json"))
def list_attestors(
    project: Annotated[str | None, typer.Option("--project", metavar="P", help="Default: this project.")] = None,
    data: DATA = None,
    *,
    as_json: JSON = False,
) -> None:
    """List the attestors of a project.

    Each with its note, its keys, and the signing rules that name it.
    """

    async def work(ports: "AttestorPorts") -> list[dict[str, Any]]:
        from workers.app.attestor_views import listed

        return await listed(ports, project or ports.project, say)

    columns = {
        "ATTESTOR": lambda record: record["attestor"],
        "NOTE": lambda record: record["note"],
        "KEYS": lambda record: len(record["keys"]),
        "ALGORITHMS": lambda record: ", ".join(dict.fromkeys(key["algorithm"] for key in record["keys"])),
        "RULES": lambda record: len(record["rules"]) or "",
        "DESCRIPTION": lambda record: record["description"],
    }
    write_records(with_ports(work, data), columns, as_json=as_json, empty="There are no attestors.")


@attestor.command(epilog=examples("sealane attestor show built-by-ci", "sealane attestor show built-by-ci --json"))
def show(name: NAME, data: DATA = None, *, as_json: JSON = False) -> None:
    """Show an attestor, and what is wrong with it.

    Its note, its keys, and the signing rules that use each. Exit 0: nothing is wrong. 1: something is.
    """

    async def work(ports: "AttestorPorts") -> dict[str, Any]:
        from workers.app.attestor_views import shown
        from workers.attestors.names import attestor_name

        return await shown(ports, attestor_name(name, ports.project), say)

    record = with_ports(work, data)
    if as_json:
        write_json(record)
    else:
        _print(record)
    if record["problems"]:
        raise typer.Exit(1)


@attestor.command(epilog=examples("sealane attestor remove built-by-ci", "sealane attestor remove old --yes --force"))
def remove(
    name: NAME,
    data: DATA = None,
    *,
    yes: YES = False,
    force: Annotated[bool, typer.Option("--force", help="Even if a policy requires it.")] = False,
    as_json: JSON = False,
) -> None:
    """Remove an attestor; its note and attestations stay.

    Asks first, and refuses while a policy requires it.
    """

    async def work(ports: "AttestorPorts") -> dict[str, Any]:
        from workers.app.attestor_views import removed, requirements, rules_naming
        from workers.attestors.names import attestor_name

        full = attestor_name(name, ports.project)
        await ports.admin.read(full)
        required = [] if force else await requirements(ports, full)
        if required:
            raise Invalid(f"{full} is not removed, since {'; '.join(required)}. --force removes it all the same")
        rules = rules_naming(ports, full)
        if rules:
            say(f"signing rules name it, and will fail: {', '.join(f'{rule.number} ({rule.match})' for rule in rules)}")
        confirm(f"Remove {full}?", yes=yes)
        gone = await removed(ports, full, say)
        return {"removed": gone.name, "note": gone.note, "keys": [key.id for key in gone.keys]}

    record = with_ports(work, data)
    if as_json:
        write_json(record)
    else:
        typer.echo(one_line(f"removed {record['removed']}; the note {record['note']} stays"))


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless that was answered beforehand. Raises Invalid where nobody can be asked."""
    from workers.commands.output import is_person

    if not yes:
        if not (is_person() and sys.stdin.isatty()):
            raise Invalid("nobody can be asked here: say --yes to do it")
        typer.confirm(one_line(question), abort=True)


def with_ports(work: "Callable[[AttestorPorts], Awaitable[Any]]", data: Path | None, *, claiming: bool = False) -> Any:
    """Open the ports, do the work, close them, and return its result. Raises what the work raises."""
    import asyncio

    from workers.app.attestors import attestor_ports

    async def run() -> Any:
        async with attestor_ports(data, claiming=claiming) as ports:
            return await work(ports)

    return asyncio.run(run())


def say(line: str) -> None:
    """Say a line to whoever looks on, beside what a program reads."""
    typer.echo(one_line(line), err=True)


def _wanted(
    project: str, name: str | None, file: str | None, *, note: str | None, keys: list[str] | None, **more: str | None
) -> "tuple[WantedAttestor, ...]":
    """Return what was typed, or what the file says. Raises Invalid."""
    from workers.attestors.wanted import WantedKey, read_attestors, wanted_attestor

    if file is None:
        wanted = tuple(WantedKey(key=key) for key in keys or ())
        return (wanted_attestor(name or "", project, note=note, keys=wanted, **more),)
    if file == "-":
        return read_attestors(sys.stdin.buffer.read(), "stdin", project, Path())
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror or error}") from None
    return read_attestors(content, file, project, Path(file).parent)


def _write(outcome: "Outcome", *, dry_run: bool, as_json: bool) -> None:
    """Write what became of one attestor, as soon as it is known."""
    from dataclasses import asdict

    if as_json:
        write_json(asdict(outcome) | {"changed": outcome.has_changed, "dry_run": dry_run})
    else:
        for change in outcome.changes:
            did = f"would be {change.did}" if dry_run and change.did not in {"as wanted", "kept"} else change.did
            said = f" ({change.said})" if change.said else ""
            subject = repr(change.subject) if change.part == "description" else change.subject
            typer.echo(one_line(f"{did}: {change.part} {subject}{said}"))
    if outcome.advice:
        say(f"to do: {outcome.advice}")


def _print(record: dict[str, Any]) -> None:
    screen = console()

    def line(name: str, text: str) -> None:
        screen.print(f"{name:<12} {one_line(text)}", markup=False, soft_wrap=True)

    line("attestor", record["attestor"])
    line("note", f"{record['note']} ({record['note_state']})")
    for field in ("description", "service_account"):
        if record[field]:
            line(field.replace("_account", ""), record[field])
    for key in record["keys"]:
        used = f", used by {', '.join(key['rules'])}" if key["rules"] else ""
        comment = f", {key['comment']}" if key["comment"] else ""
        line("key", f"{key['id']} ({key['algorithm']}{comment}{used})")
    for rule in record["rules"]:
        line("rule", rule)
    for problem in record["problems"]:
        line("WRONG", problem)
