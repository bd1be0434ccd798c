"""Resident memory of a worker does not grow with its backlog."""

import asyncio
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.bench.figures import Bar, Figure
from tests.bench.processes import ChildFailedError, ended, spawn
from tests.bench.stage import copy_of, stock
from tests.bench.traffic import BODY_BYTES

NAME = "memory"
_WORKED_ON = 20_000
"""Events that are handled while memory is watched: the first ones, with the rest waiting on the bus."""
_SMALL = 10_000
_MIB = 1024**2
_SAMPLE_SECONDS = 0.02


async def measure(*, quick: bool) -> list[Figure]:
    """Watch a worker with a small and with a large backlog."""
    large = 200_000 if quick else 1_000_000
    peaks = {backlog: await _peak(backlog) / _MIB for backlog in (_SMALL, large)}
    detail = {"body_bytes": BODY_BYTES, "worked_on": _WORKED_ON}
    return [
        *(
            Figure(NAME, f"RSS with a backlog of {backlog:,}", peak, "MiB", detail=detail)
            for backlog, peak in peaks.items()
        ),
        Figure(NAME, "growth with the backlog", peaks[large] - peaks[_SMALL], "MiB", Bar("within", 20), detail=detail),
    ]


async def _peak(backlog: int) -> int:
    """Return the most bytes that were resident while the first events were handled."""
    with TemporaryDirectory(prefix="sealane-bench-") as place:
        store = Path(place) / "store"
        await stock(store, backlog)
        async with copy_of(store) as server:
            errors = Path(place) / "worker.log"
            count = min(backlog, _WORKED_ON)
            process = await spawn("-m", "tests.bench.sides.engine", server.url, str(count), errors=errors)
            try:
                peak = await _watch(process)
            finally:
                await ended(process)
            if process.returncode:
                raise ChildFailedError(errors.read_text()[-4000:])
            return peak


async def _watch(process: Process) -> int:
    peak = 0
    watched = psutil.Process(process.pid)
    with suppress(psutil.NoSuchProcess):
        while process.returncode is None:
            peak = max(peak, watched.memory_info().rss)
            await asyncio.sleep(_SAMPLE_SECONDS)
    return peak
