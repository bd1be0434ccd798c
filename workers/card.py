"""What a worker says of itself: its card, in the `__init__.py` of its room.

What it consumes, emits and needs is not here: that is its signature (`workers.bus.wiring`).
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Card:
    """One worker in a few lines. Read without importing its clients, so that start-up stays quick."""

    name: str
    """A bare verb: the same word as the room, the Procfile line, the durable, the log and the metric."""
    summary: str
    """What it does, in one sentence."""
    concurrency: int = 64
    """Handlers in flight in one process."""
    attempts: int = 10
    """Attempts before a temporary failure becomes a dead letter."""
    ack_wait: timedelta = timedelta(seconds=30)
    """How long the server waits for a sign of life; heartbeats are sent three times as often."""
    time_limit: timedelta = timedelta(minutes=15)
    """A handler that takes longer is stuck: it is cancelled and its message goes back."""
    claims: bool = False
    """Whether it may use the claims bucket (derived permissions)."""
    carries: bool = False
    """It carries what others say: what it emits may come through a door as well."""
    tick: str | None = None
    """A repeating schedule that wakes it (`@every 1h`, or six-field cron), if any."""
