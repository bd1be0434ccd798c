"""Where CPU time goes: a sampler on the kernel's profiling timer, grouped by package.

The timer counts CPU time of the process, not the clock, so waiting is not seen. A sample is counted for the innermost
Python frame: what C code does (pydantic's parser, the event loop's core) counts for whoever called it. Unlike a
deterministic profiler it costs next to nothing, so small functions are not blown up.
"""

import json
import signal
import sysconfig
from collections import Counter
from pathlib import Path
from types import FrameType

_INTERVAL = 0.001
_TOP = 25
_SITE = sysconfig.get_path("purelib") + "/"
_STANDARD = sysconfig.get_path("stdlib") + "/"
_OURS = str(Path(__file__).parents[2]) + "/"


class Sampler:
    """Counts samples between `start()` and `stop()`; main thread only."""

    def __init__(self) -> None:
        self._packages: Counter[str] = Counter()
        self._functions: Counter[str] = Counter()

    def start(self) -> None:
        """Begin."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)

    def stop(self, handled: int) -> str:
        """End, and return one line of JSON: shares by package and by function."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        samples = sum(self._packages.values())
        return json.dumps(
            {
                "samples": samples,
                "handled": handled,
                "packages": {name: count / samples for name, count in self._packages.most_common()},
                "functions": {name: count / samples for name, count in self._functions.most_common(_TOP)},
            }
        )

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        if frame is not None:
            file = frame.f_code.co_filename
            self._packages[package_of(file)] += 1
            self._functions[f"{short(file)}:{frame.f_code.co_qualname}"] += 1


def package_of(file: str) -> str:
    """Return the package that a file belongs to: ours by room, others by their top level."""
    path = short(file)
    parts = path.split("/")
    if path.startswith("workers/"):
        return f"sealane {'/'.join(parts[:2])}".removesuffix(".py")
    if parts[0] in {"schemas", "tests"}:
        return f"sealane {parts[0]}"
    return parts[0].removesuffix(".py")


def short(file: str) -> str:
    """Return a file's path without the place it is installed at."""
    for prefix in (_SITE, _STANDARD, _OURS):
        if file.startswith(prefix):
            return file.removeprefix(prefix)
    return file
