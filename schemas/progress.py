"""What a worker says while it works: one JSON object per message on `progress.<worker>.<run>`."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class EventRef(BaseModel):
    """Points at an event: by identity, and where it is stored by (stream, sequence)."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    type: str
    """CloudEvents type."""
    source: str
    """CloudEvents source."""
    id: str
    """CloudEvents id."""
    subject: str | None = None
    """What the event is about."""
    stream: str | None = None
    """Stream which holds the message."""
    sequence: int | None = None
    """Its sequence in that stream."""


class StepTaken(BaseModel):
    """A step as the result sums it up."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    name: str
    """What was done."""
    state: Literal["began", "done", "failed"]
    """How far it came."""
    seconds: float | None = None
    """How long it took."""


class ProgressMessage(BaseModel):
    """One thing said about the handling of one event by one worker.

    Messages of one run keep their order; (`attempt`, `n`) orders what one handling said. A `result` ends a handling:
    `done` and `dead` are final (until somebody replays), `retry` and `waiting` say when it goes on.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    kind: Literal["started", "step", "log", "result"]
    """What is said."""
    worker: str
    """Who says it."""
    run: str
    """The run that the event belongs to."""
    event: EventRef
    """The event being handled."""
    attempt: Annotated[int, Field(ge=1)]
    """Which attempt this is."""
    n: Annotated[int, Field(ge=0)]
    """Running number within the attempt."""
    at: AwareDatetime
    """When."""
    actor: str | None = None
    """The authenticated principal who caused the run, if the event says so."""
    step: str | None = None
    """`step`: its name."""
    state: Literal["began", "done", "failed"] | None = None
    """`step`: how far."""
    seconds: float | None = None
    """`step`, `result`: how long it took."""
    message: str | None = None
    """`log`: the text. `result`: the failure in one sentence."""
    outcome: Literal["done", "retry", "waiting", "dead"] | None = None
    """`result`: how the handling ended."""
    error: str | None = None
    """`result`: class of the failure."""
    retry_at: AwareDatetime | None = None
    """`result`: when it goes on, if it does."""
    emitted: tuple[EventRef, ...] = ()
    """`result`: the events which were stored because of it."""
    steps: tuple[StepTaken, ...] = ()
    """`result`: every step of the handling, so that quick work needs no other message."""
    logs: tuple[str, ...] = ()
    """`result`: the lines which were not said before it."""
    dead: EventRef | None = None
    """`result`: where the dead letter is, if it became one."""
