"""How soon `sealane worker attest` is ready, what it holds then, and how much CPU a start of this or that takes.

CPU seconds are those of the Python process alone, with bytecode: without it each start would compile what it imports.
"""

import resource
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.bench.figures import Bar, Figure, median_of
from tests.bench.processes import ended, spawn
from tests.bench.world import SEALANE, LocalWorld, local_world, ready
from workers.local.folder import WorldFolder

NAME = "start"
_MIB = 1024**2
_COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
_COMMANDS = (("--help",), ("local", "env"), ("local", "info"), ("console",))


async def measure(*, quick: bool) -> list[Figure]:
    """Start everything some times, each time anew; the first time of all only leaves the bytecode behind."""
    runs = 3 if quick else 7
    seconds, resident, busy = [], [], []
    async with local_world() as world:
        with TemporaryDirectory(prefix="sealane-bench-") as place:
            for number in range(runs + 1):
                process, took = await world.start_worker(Path(place) / f"worker-{number}.log", _COMPILED)
                try:
                    seconds.append(took)
                    resident.append(psutil.Process(process.pid).memory_info().rss / _MIB)
                    busy.append(_cpu(process.pid))
                finally:
                    await ended(process)
        commands = [await _command(world, command, runs) for command in _COMMANDS]
    worlds = [await _world() for _ in range(runs + 1)]
    return [
        median_of(NAME, "worker attest, until ready", seconds[1:], "s", Bar("below", 1.5)),
        median_of(NAME, "worker attest, RSS when ready", resident[1:], "MiB", Bar("below", 120 * 1e6 / _MIB)),
        median_of(NAME, "worker attest, CPU until ready", busy[1:], "s", Bar("below", 1.0)),
        median_of(NAME, "up --no-workers, CPU until ready", worlds[1:], "s", Bar("below", 2.0)),
        *commands,
    ]


async def _command(world: LocalWorld, command: tuple[str, ...], runs: int) -> Figure:
    """Return the CPU seconds of a command from its beginning to its end."""
    where = () if command == ("--help",) else ("--data", str(world.folder))
    seconds = []
    for _ in range(runs + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = await spawn(SEALANE, *command, *where, environment=_COMPILED)
        await process.communicate()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return median_of(NAME, f"{' '.join(command)}, CPU", seconds[1:], "s", Bar("below", 0.6))


async def _world() -> float:
    """Return the CPU seconds of a world in a fresh folder until it is there."""
    with TemporaryDirectory(prefix="sealane-bench-") as place:
        folder, log = Path(place) / "world", Path(place) / "up.log"
        command = ("up", "--no-workers", "--data", str(folder))
        process = await spawn(SEALANE, *command, environment=_COMPILED, errors=log)
        try:
            await ready(process, log, lambda: WorldFolder(folder).endpoints() is not None)
            return _cpu(process.pid)
        finally:
            await ended(process)


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
