"""Consume, validate, publish one follow-up with PubAck, acknowledge: ours against the loop and FastStream.

All sides handle the same stored backlog, one after another in every round, so that the noise of the machine meets all
of them. The ratio of a round compares neighbours in time; what counts is the median of the ratios.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Bar, Figure, median_of
from tests.bench.processes import answer_of
from tests.bench.stage import Outcome, copy_of, outcome, stock
from tests.bench.traffic import BODY_BYTES

LOOP, FAST, QUIET, RESULT, CLAIMS = "nats-py loop", "FastStream", "sealane", "sealane + result", "sealane + claims"
SIDES: Mapping[str, tuple[str, ...]] = {
    QUIET: ("tests.bench.sides.engine", "--quiet"),
    LOOP: ("tests.bench.sides.loop",),
    RESULT: ("tests.bench.sides.engine",),
    FAST: ("tests.bench.sides.fast",),
    CLAIMS: ("tests.bench.sides.engine", "--claims"),
}
NAME = "bus"


class WrongOutcomeError(AssertionError):
    """A side did not do the work that it was measured for."""


async def measure(*, quick: bool, rounds: int = 3, events: int | None = None) -> list[Figure]:
    """Run all sides in turn, `rounds` times."""
    count = events or (5_000 if quick else 20_000)
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    with TemporaryDirectory(prefix="sealane-bench-") as place:
        store = Path(place) / "store"
        await stock(store, count)
        for _ in range(rounds):
            for side in SIDES:
                runs[side].append(await _run(side, store, count))
    return _figures(runs, count)


async def profile(*, quick: bool) -> None:
    """Print where the CPU time of our side goes: without a result for each event, with one, and with claims."""
    count = 10_000 if quick else 40_000
    with TemporaryDirectory(prefix="sealane-bench-") as place:
        store = Path(place) / "store"
        await stock(store, count)
        for side in (QUIET, RESULT, CLAIMS):
            module, *options = SIDES[side]
            async with copy_of(store) as server:
                found = await answer_of(module, server.url, count, "--sample", *options)
            print_shares(side, found)


async def _run(side: str, store: Path, count: int) -> dict[str, Any]:
    module, *options = SIDES[side]
    async with copy_of(store) as server:
        answer: dict[str, Any] = await answer_of(module, server.url, count, *options)
        found = await outcome(server.url)
    if found != Outcome(follow_ups=count, pending=0, unanswered=0):
        raise WrongOutcomeError(f"{side} was given {count} events and left {found}")
    return answer


def _figures(runs: Mapping[str, list[dict[str, Any]]], count: int) -> list[Figure]:
    detail: dict[str, Any] = {"events": count, "body_bytes": BODY_BYTES, "store": "file, sync_interval 1s, one replica"}
    figures = [
        median_of(NAME, side, [run["rate"] for run in found], "events/s", **detail) for side, found in runs.items()
    ]
    figures += [
        median_of(NAME, f"CPU of {side}", [run["cpu_us"] for run in found], "µs/event") for side, found in runs.items()
    ]
    bars = (
        (QUIET, LOOP, Bar("at least", 2)),
        (QUIET, FAST, Bar("at least", 5)),
        (RESULT, LOOP, Bar("at least", 1.3)),
        (CLAIMS, LOOP, None),
    )
    for ours, theirs, bar in bars:
        ratios = [ours_["rate"] / theirs_["rate"] for ours_, theirs_ in zip(runs[ours], runs[theirs], strict=True)]
        figures.append(median_of(NAME, f"{ours} / {theirs}", ratios, "times", bar))
    return figures


def print_shares(side: str, found: Mapping[str, Any]) -> None:
    """Print what a sampler found in one side."""
    console = Console()
    console.print(_shares(f"{side}: CPU time by package ({found['samples']} samples)", found["packages"].items()))
    console.print(_shares(f"{side}: by function", found["functions"].items()))


def _shares(title: str, shares: Iterable[tuple[str, float]]) -> Table:
    table = Table(title=title)
    table.add_column("where")
    table.add_column("share", justify="right")
    for name, share in shares:
        table.add_row(name, f"{share:.1%}")
    return table
