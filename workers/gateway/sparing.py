"""Lines in the log that anybody may cause: so many a minute, and then how many were left out."""

import logging
import time
from collections.abc import Callable

MINUTE = 60.0


class Sparing:
    """Writes at most `most` lines a minute to a log. `clock` is monotonic, in seconds."""

    def __init__(self, log: logging.Logger, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._most = most
        self._clock = clock
        self._began_at = float("-inf")
        self._written = 0
        self._left_out = 0

    def warn(self, line: str, *given: object) -> None:
        """Write a line, unless there were enough of them this minute: the first of the next says how many."""
        now = self._clock()
        if now - self._began_at >= MINUTE:
            self._began_at, self._written = now, 0
        elif self._written >= self._most:
            self._left_out += 1
            return
        self._written += 1
        if self._left_out:
            line, given = f"{line} (and %d more since the line before it)", (*given, self._left_out)
            self._left_out = 0
        self._log.warning(line, *given)
