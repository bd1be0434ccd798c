"""What every side says at its end: how long it took, and how much CPU of its own."""

import json
import time


class Stopwatch:
    """Runs from its making, before the side connects, to `stop()`, when the last message is acknowledged."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def stop(self, handled: int) -> None:
        """Print the figures as one line of JSON."""
        seconds = time.perf_counter() - self._wall
        print(
            json.dumps(
                {
                    "handled": handled,
                    "seconds": seconds,
                    "rate": handled / seconds,
                    "cpu_us": (time.process_time() - self._cpu) / handled * 1e6,
                }
            ),
            flush=True,
        )
