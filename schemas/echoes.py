"""The probe: an event that crosses the lane and comes back."""

from typing import Annotated, ClassVar

from pydantic import Field

from schemas.events import Event


class EchoRequested(Event):
    """Somebody asks whether the lane is alive."""

    event_type: ClassVar[str] = "echo.requested"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("message",)
    subject_field: ClassVar[str] = "message"

    message: Annotated[str, Field(min_length=1, max_length=2048, examples=["is anybody there?"])]
    """What shall come back."""


class EchoAnswered(Event):
    """The lane is alive: the message came back."""

    event_type: ClassVar[str] = "echo.answered"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("message",)
    subject_field: ClassVar[str] = "message"

    message: Annotated[str, Field(min_length=1, max_length=2048, examples=["is anybody there?"])]
    """What was asked, unchanged."""
