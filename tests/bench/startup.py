"""How soon `sealane worker attest` is ready to work, and how much memory it holds then."""

from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.bench.figures import Bar, Figure, median_of
from tests.bench.processes import ended
from tests.bench.world import local_world

NAME = "start"
_MIB = 1024**2


async def measure(*, quick: bool) -> list[Figure]:
    """Start the worker some times, each time anew, in a running world."""
    seconds, resident = [], []
    async with local_world() as world:
        with TemporaryDirectory(prefix="sealane-bench-") as place:
            for number in range(3 if quick else 7):
                process, took = await world.start_worker(Path(place) / f"worker-{number}.log")
                try:
                    seconds.append(took)
                    resident.append(psutil.Process(process.pid).memory_info().rss / _MIB)
                finally:
                    await ended(process)
    return [
        median_of(NAME, "worker attest, until ready", seconds, "s", Bar("below", 1.5)),
        median_of(NAME, "worker attest, RSS when ready", resident, "MiB", Bar("below", 120 * 1e6 / _MIB)),
    ]
