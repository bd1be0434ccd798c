"""The command line of what runs by a plan: an option for each of its fields, and the exit says whether all held."""

import argparse
import asyncio
import random
import sys
from collections.abc import Callable, Coroutine
from dataclasses import Field, field, fields
from typing import Any, Protocol, TypeVar

from tests.bench.processes import clean_up_on_sigterm

P = TypeVar("P")


class Report(Protocol):
    """What a run has found."""

    @property
    def holds(self) -> bool:
        """Whether every promise was kept."""


R = TypeVar("R", bound=Report)


def option(default: Any, about: str, *, kind: type | None = None, drawn: bool = False) -> Any:
    """Return a field of a plan; `kind` is its type where the default is None.

    One that is `drawn` is another number on every command line: what the run prints repeats it.
    """
    return field(default=default, metadata={"about": about, "kind": kind or type(default), "drawn": drawn})


def play(
    module: str, about: str | None, plan: type[P], run: Callable[[P], Coroutine[Any, Any, R]], show: Callable[[R], None]
) -> None:
    """Run once as the command line says, show what happened, and exit with 0 only if the report holds."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    for one in fields(plan):  # type: ignore[arg-type]  # every plan is a dataclass, which no bound can say
        _add(parser, one)
    clean_up_on_sigterm()
    report = asyncio.run(run(plan(**vars(parser.parse_args()))))
    show(report)
    sys.exit(0 if report.holds else 1)


def _add(parser: argparse.ArgumentParser, one: Field[Any]) -> None:
    default = random.randrange(1_000_000) if one.metadata["drawn"] else one.default  # noqa: S311 - it is printed
    said = "" if default is None else " (default: %(default)s)"
    parser.add_argument(
        f"--{one.name}", type=one.metadata["kind"], default=default, help=f"{one.metadata['about']}{said}"
    )
