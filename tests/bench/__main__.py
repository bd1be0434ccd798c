"""`python -m tests.bench [--only NAME] [--quick] [--profile]`: measures, prints a table, writes JSON.

Exits with 1 when a bar is not met.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from tests.bench import attesting, bridging, bus, intake, keys, listing, live, memory, startup, webhook
from tests.bench.figures import RESULTS, Figure, report
from tests.bench.processes import clean_up_on_sigterm

Measure = Callable[..., Coroutine[Any, Any, list[Figure]]]
BENCHES: dict[str, Measure] = {
    module.NAME: module.measure
    for module in (bus, memory, startup, attesting, keys, bridging, intake, webhook, live, listing)
}


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure sealane against its bars.")
    parser.add_argument("--only", action="append", choices=sorted(BENCHES), help="one bench; may be repeated")
    parser.add_argument("--quick", action="store_true", help="smaller numbers, to see that it runs")
    parser.add_argument(
        "--profile", action="store_true", help="only say where CPU time goes: of the bus, or of the intake"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the JSON goes (default: %(default)s)")
    options = parser.parse_args()
    clean_up_on_sigterm()
    if options.profile:
        asyncio.run((intake if options.only == [intake.NAME] else bus).profile(quick=options.quick))
        return
    figures: list[Figure] = []
    for name in options.only or BENCHES:
        print(f"measuring: {name} …", file=sys.stderr, flush=True)
        figures += asyncio.run(BENCHES[name](quick=options.quick))
    sys.exit(0 if report(figures, quick=options.quick, output=options.output) else 1)


if __name__ == "__main__":
    main()
