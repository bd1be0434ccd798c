"""How one process runs one worker."""

from dataclasses import dataclass, field
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How one process runs one worker. Times in seconds."""

    replica: str = field(default_factory=lambda: uuid4().hex[:12])
    """Name of this process in claims and in the state of the line."""
    grace: float = 20.0
    """How long running handlers may go on after the stop."""
    prefetch: int | None = None
    """Messages held at most; None is twice the concurrency."""
    heartbeat: float = 2.0
    """Idle heartbeat of the pulls."""
    first_probe: float = 5.0
    """Time before the first try on a stopped line."""
    progress: bool = True
    """Whether a result is published for each event; without it nobody can follow a run."""
    tracing: bool = False
    """Whether a tracer provider was set up."""
