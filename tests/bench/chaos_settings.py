"""How the worker of the chaos run is set: shared by it and by who kills it."""

from datetime import timedelta

from tests.bench.traffic import wiring
from workers.bus.wiring import Handler, Wiring

ACK_WAIT = timedelta(seconds=5)
CONCURRENCY = 128
WORK_SECONDS = 0.02
"""What each handling takes at least."""
GRACE = 5.0
HEARTBEAT = 0.5
PREFETCH = 2 * CONCURRENCY
"""The engine's own default: twice the concurrency."""


def chaotic(handler: Handler) -> Wiring:
    """Wire the handler of the chaos run."""
    return wiring(handler, concurrency=CONCURRENCY, ack_wait=ACK_WAIT)
