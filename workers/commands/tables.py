"""Tables that fit a terminal and lose nothing: no identifier is cut short, since somebody will copy it.

What is too wide is laid out otherwise: long columns wrap; else the last one goes below its row; else each row becomes a
record of one line per column.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_GAP = 2
_LONG = 24
"""Wider columns may be wrapped; a run's id is just not one of them."""
_NARROWEST = 16
"""Characters that a wrapped column keeps at least, to be read as text."""


def print_table(screen: "Console", columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of safe one-line texts under their columns, as wide as the screen at most."""
    widths = _widths(columns, rows)
    gaps = _GAP * (len(columns) - 1)
    long = {index for index, width in enumerate(widths) if width > _LONG}
    wrapped = sum(_NARROWEST if index in long else width for index, width in enumerate(widths)) + gaps
    if sum(widths) + gaps <= screen.width:
        _print_grid(screen, columns, rows, wrapping=set())
    elif wrapped <= screen.width:
        _print_grid(screen, columns, rows, wrapping=long)
    elif sum(widths[:-1]) + gaps - _GAP <= screen.width:
        _print_with_last_below(screen, columns, rows)
    else:
        _print_as_records(screen, columns, rows)


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column in terminal cells: a CJK character takes two."""
    from rich.cells import cell_len

    return [max(cell_len(line[index]) for line in (columns, *rows)) for index in range(len(columns))]


def _print_grid(
    screen: "Console", columns: Sequence[str], rows: Sequence[Sequence[str]], *, wrapping: set[int]
) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index not in wrapping)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    screen.print(table)


def _print_with_last_below(screen: "Console", columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    widths = _widths(columns[:-1], [row[:-1] for row in rows])
    screen.print(Text(_joined(columns[:-1], widths), style="bold"))
    screen.print(Padding(Text(columns[-1], style="bold"), (0, 0, 0, _GAP)))
    for row in rows:
        screen.print(Text(_joined(row[:-1], widths)))
        screen.print(Padding(Text(row[-1], overflow="fold"), (0, 0, 0, _GAP)))


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    from rich.cells import set_cell_size

    padded = (set_cell_size(cell, width) for cell, width in zip(cells, widths, strict=True))
    return (" " * _GAP).join(padded).rstrip()


def _print_as_records(screen: "Console", columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, show_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for number, row in enumerate(rows):
        if number:
            table.add_row("", "")
        for column, cell in zip(columns, row, strict=True):
            if cell:
                table.add_row(Text(column), Text(cell))
    screen.print(table)
