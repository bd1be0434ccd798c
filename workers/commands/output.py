"""How commands speak: tables for people, JSON lines for programs, nothing that could steer a terminal."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.terminal import safe

if TYPE_CHECKING:
    from rich.console import Console

DATA = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder of the local world; default: SEALANE_DATA, else .sealane."),
]
JSON = Annotated[bool, typer.Option("--json", help="Write JSON lines, for programs.")]
_WIDE = 100_000


def examples(*lines: str) -> str:
    """Return the end of a command's help: calls to copy."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def one_line(text: str) -> str:
    """Return a text as one safe line."""
    return safe(" ".join(text.split()))


def local_time(at: str | None) -> str:
    """Return an ISO 8601 time as the clock of this machine shows it, as the lines of `sealane tail` do."""
    return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M:%S}" if at else ""


def is_person() -> bool:
    """Return whether somebody reads our output on a terminal."""
    return sys.stdout.isatty()


def console() -> "Console":
    """Return where to write for people; piped output has no colours and is never wrapped."""
    from rich.console import Console

    if not is_person():
        return Console(highlight=False, width=_WIDE, no_color=True)
    screen = Console(highlight=False)
    # To rich, NO_COLOR is about colours alone; who sets it wants none of the bytes that make bold and dim either.
    return Console(highlight=False, color_system=None) if screen.no_color else screen


def write_json(record: Mapping[str, Any]) -> None:
    """Write one JSON line at once, so that a follower sees it."""
    sys.stdout.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def write_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Write rows under their columns, or the sentence for none."""
    from workers.commands.tables import print_table

    texts = [[one_line("" if cell is None else str(cell)) for cell in row] for row in rows]
    if texts:
        print_table(console(), columns, texts)
    else:
        typer.echo(empty, err=True)


def write_records(
    records: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Callable[[Mapping[str, Any]], object]],
    *,
    as_json: bool,
    empty: str,
) -> None:
    """Write records as JSON lines, or as a table whose columns are made of them."""
    if as_json:
        for record in records:
            write_json(record)
    else:
        write_table(list(columns), [[cell(record) for cell in columns.values()] for record in records], empty=empty)
