"""Tables on narrow terminals: whatever the width, every cell can be read and copied whole, and nothing is too wide."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from workers.commands.tables import print_table

COLUMNS = ("RUN", "STATE", "BEGAN", "WHY")
RUN = "yasAtL1csC7vO63-kWxMoS_i"
ROWS = (
    (RUN, "failed", "2026-11-22T03:08:07", "registry.example.com is not listed: add it to SEALANE_REGISTRIES"),
    ("x" * 24, "done", "2026-11-22T03:08:08", "日本の画像"),
)


def printed(width: int) -> list[str]:
    """Return what a screen of this width shows."""
    screen = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    print_table(screen, COLUMNS, ROWS)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [32, 40, 60, 80, 100, 132, 200, 100_000])
def test_no_cell_is_cut_short_and_no_line_is_too_wide(width: int) -> None:
    """An ellipsis would hide what somebody must copy."""
    lines = printed(width)
    glued = "".join("".join(lines).split())

    assert all(cell_len(line) <= width for line in lines)
    assert "…" not in glued
    assert all(any(row[0] in line for line in lines) for row in ROWS)
    words = (word for row in ROWS for word in row[3].split())
    assert all(word in "".join(lines) for word in words if len(word) < 20)


@pytest.mark.parametrize(
    ("width", "first_line"),
    [
        (200, "RUN                       STATE   BEGAN                WHY"),
        (80, "RUN                       STATE   BEGAN                WHY"),
        (60, "RUN                       STATE   BEGAN"),
        (40, f"RUN    {RUN}"),
    ],
)
def test_a_narrower_screen_gets_another_layout(width: int, first_line: str) -> None:
    """Side by side while it fits, then wrapped, then the last column below, then one line per column."""
    assert printed(width)[0].rstrip() == first_line
