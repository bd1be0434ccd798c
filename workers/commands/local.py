"""`sealane local`: the folder of the local world, and the user's own shell on it."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from workers.commands.output import DATA, JSON, examples, write_json, write_table
from workers.failures import Invalid, SealaneError

if TYPE_CHECKING:
    from workers.local.archive import Manifest

local = typer.Typer(
    help="Look after the local world's folder, use it from your shell.",
    epilog=examples(
        'eval "$(sealane local env)"',
        "sealane local backup world.tar.gz",
        "sealane local reset --keep-ports",
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)
_STDIO = Path("-")
YES = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(local, name="local")


@local.command("env", epilog=examples('eval "$(sealane local env)"', "sealane local env --data /srv/sealane"))
def env(data: DATA = None) -> None:
    """Point this shell's gcloud, skopeo and NATS at the world."""
    from workers.app.shell import shell_environment

    for name, value in shell_environment(data).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@local.command(
    "job",
    epilog=examples(
        'eval "$(sealane local job acme/shop)"',
        "sealane local job acme/shop --ref refs/tags/v1.4.2 --environment production",
    ),
)
def job(
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="acme/shop may come through the door.")],
    ref: Annotated[str | None, typer.Option(help="Branch or tag; default: refs/heads/main.")] = None,
    event: Annotated[str | None, typer.Option(help="What started it; default: push.")] = None,
    environment: Annotated[str | None, typer.Option(help="The environment that the job names.")] = None,
    data: DATA = None,
) -> None:
    """Give this shell what a job on GitHub Actions has.

    Who it is, and the right to ask for a token (OIDC) that says so.
    """
    from workers.app.local_repository import job_environment

    named = {"repository": repository, "ref": ref, "event_name": event, "environment": environment}
    for name, value in job_environment(data, named).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@local.command("info", epilog=examples("sealane local info", "sealane local info --data /srv/sealane --json | jq ."))
def info(data: DATA = None, *, as_json: JSON = False) -> None:
    """Say what the folder holds, its version, and who uses it."""
    from workers.local.backup import inspect
    from workers.local.version import VERSION

    with _explained():
        found = inspect(_root(data))
    version = "the present one" if found.version == VERSION else f"`sealane up` makes it {VERSION}"
    if as_json:
        parts = [{"name": part.name, "files": part.files, "bytes": part.bytes} for part in found.parts]
        record = {"folder": str(found.root), "version": found.version, "holder": found.holder, "parts": parts}
        write_json(record | {"leftovers": [str(path) for path in found.leftovers]})
        return
    typer.echo(f"{found.root}: version {found.version} ({version})")
    typer.echo(f"running as process {found.holder}" if found.holder else "not running")
    rows = [[part.name, f"{part.files:,}", f"{part.bytes:,}"] for part in found.parts]
    write_table(["PART", "FILES", "BYTES"], rows, empty="")
    for path in found.leftovers:
        typer.echo(f"left over from a restore or reset that was killed, removed by the next one: {path}")


@local.command(
    epilog=examples(
        "sealane local backup",
        "sealane local backup before-upgrade.tar.gz --data /srv/sealane",
        "sealane local backup - | ssh vault 'cat > sealane.tar.gz'",
    )
)
def backup(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The archive to write, - is stdout; default: by the time.")
    ] = None,
    data: DATA = None,
) -> None:
    """Write the folder of a stopped world into one archive.

    It holds the secrets of that world: access token, identities, private keys. Stop the world first: its parts change
    one after the other, and only together do they make sense.
    """
    from importlib.metadata import version

    from workers.local.backup import back_up, back_up_to

    root, release = _root(data), version("sealane")
    file = file or Path(f"sealane-{datetime.now().astimezone():%Y%m%d-%H%M%S}.tar.gz")
    if file == _STDIO and sys.stdout.isatty():
        raise Invalid("an archive is nothing for a terminal: name a file, or pipe it somewhere")
    with _explained():
        if file == _STDIO:
            manifest = back_up(root, sys.stdout.buffer, release=release)
        else:
            manifest = back_up_to(root, file, release=release)
    what = "the archive" if file == _STDIO else str(file)
    typer.echo(f"{what} holds {_amount(manifest)} of {root}; the secrets of that world are in it", err=file == _STDIO)


@local.command(
    epilog=examples(
        "sealane local restore before-upgrade.tar.gz",
        "sealane local restore before-upgrade.tar.gz --check",
        "sealane local restore - --data /srv/sealane --replace < sealane.tar.gz",
    )
)
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An archive of `sealane local backup`, - is stdin.")],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Lose what the folder holds now.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Verify the archive and change nothing.")] = False,
    data: DATA = None,
) -> None:
    """Put an archive in place of the folder.

    All of it is verified before, and the folder is exchanged at once: whatever happens, it is the old one or the new
    one. Ports are restored, too: image references contain them.
    """
    from workers.local.backup import restore as put_back
    from workers.local.backup import verify

    root = _root(data)
    with _explained(f"{file}: "), _opened(file) as source:
        manifest = verify(source) if check else put_back(source, root, replace=replace)
    made = f"made {manifest.made_at.astimezone():%Y-%m-%d %H:%M:%S} by sealane {manifest.release}"
    if check:
        typer.echo(f"{file} is whole: {_amount(manifest)}, {made}")
    else:
        typer.echo(f"{root} holds {_amount(manifest)}, {made}; `sealane up --data {shlex.quote(str(root))}` starts it")


@local.command(epilog=examples("sealane local reset", "sealane local reset --keep-ports --yes"))
def reset(
    *,
    yes: YES = False,
    keep_ports: Annotated[bool, typer.Option("--keep-ports", help="Keep the ports.")] = False,
    keep_identities: Annotated[
        bool, typer.Option("--keep-identities", help="Keep the access token and the identities on the bus.")
    ] = False,
    data: DATA = None,
) -> None:
    """Remove all that a stopped world holds; asks first."""
    from workers.commands.person import ask
    from workers.local.backup import IDENTITIES, PORTS, inspect
    from workers.local.backup import reset as clear

    root = _root(data)
    with _explained():
        files = sum(part.files for part in inspect(root).parts)
        ask(f"Remove the {files:,} files of {root} for good?", yes=yes, otherwise="remove the world's data for good")
        clear(root, keep=(PORTS if keep_ports else ()) + (IDENTITIES if keep_identities else ()))
    typer.echo(f"{root} is as new")


def _root(data: Path | None) -> Path:
    from workers.app.environment import world_folder

    return world_folder(data).root


def _opened(file: Path) -> BinaryIO:
    if file == _STDIO:
        return sys.stdin.buffer
    try:
        return file.open("rb")
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror or error}") from None


def _amount(manifest: "Manifest") -> str:
    return f"{len(manifest.files):,} files of {manifest.size:,} bytes"


@contextmanager
def _explained(place: str = "") -> Iterator[None]:
    """Turn the failures of the local world into ours."""
    from workers.local.archive import ArchiveError
    from workers.local.folder import FolderError

    try:
        yield
    except ArchiveError as error:
        raise Invalid(f"{place}{error}") from error
    except FolderError as error:
        raise SealaneError(str(error)) from error
    except BrokenPipeError:
        raise
    except OSError as error:
        # The disk is full, or a folder may not be written; drafts are gone by now and nothing else was touched.
        why = error.strerror or error
        raise SealaneError(
            f"{place}nothing was changed: {why}; make room or name a place that may be written"
        ) from error
