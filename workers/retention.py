"""How much the bus keeps, for how long, and in how many copies."""

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_GIB = 1024**3


class Retention(BaseModel):
    """What the streams of the bus are sized by. Sizes are bytes and a cap, not a reservation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replicas: Literal[1, 3] = 1
    """Copies of each message: 1 survives a crash of the server, 3 (a cluster) also the loss of a machine."""
    max_payload: int = Field(default=1024 * 1024, ge=256 * 1024)
    """The server's own limit on a message; events stay 64 KiB below it, so that a dead letter always fits."""
    events_bytes: int = Field(default=8 * _GIB, gt=0)
    """EVENTS refuses new events when it holds this much."""
    events_age: timedelta = timedelta(days=14)
    """How long events, retries and ticks can be replayed: at least twice the longest replay anybody plans."""
    duplicate_window: timedelta = timedelta(minutes=30)
    """How long the server remembers message ids, about 143 bytes of memory an id: a feed that comes back later with
    what was stored already makes a second message of the same event."""
    progress_bytes: int = Field(default=2 * _GIB, gt=0)
    """PROGRESS drops its oldest messages when it holds this much."""
    progress_age: timedelta = timedelta(days=14)
    """How long progress can be read."""
    progress_per_run: int = Field(default=100_000, gt=0)
    """Progress messages kept of one run at one worker; the oldest are dropped first. Enough for some thousand images: a
    result that is dropped is missed by whoever waits for its run."""
    dead_bytes: int = Field(default=2 * _GIB, gt=0)
    """DEAD refuses new dead letters when it holds this much: their originals then stay where they are."""
    dead_age: timedelta = timedelta(days=90)
    """How long dead letters wait for somebody to look at them."""
    claims_bytes: int = Field(default=_GIB, gt=0)
    """Claims of a worker are refused when its bucket holds this much."""
    ledger_bytes: int = Field(default=_GIB, gt=0)
    """The door takes no new token and no new webhook when its ledger holds this much: about 400 bytes each, a token's
    until it expires, a webhook's for 90 days."""
    claims_age: timedelta = timedelta(hours=24)
    """How long the result of a claim is remembered; claims without a result never expire."""
