"""What every event is: a frozen, strict model with a type, a natural key and a subject."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """One fact. Unknown fields are refused, types are not coerced.

    A class states its `event_type` (the CloudEvents type and the NATS subject) and the `natural_key_fields` which tell
    two facts with the same cause apart; the id of a follow-up is derived from them.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)

    event_type: ClassVar[str]
    natural_key_fields: ClassVar[tuple[str, ...]]
    subject_field: ClassVar[str]
    door: ClassVar[Literal["events", "webhook", "feed"]] = "events"
    """By which door it comes from outside: `events` (POST /events and the command line), `webhook` (only what GitHub
    signed), `feed` (only what the bridge took from a subscription)."""

    def natural_key(self) -> str:
        """Return the values which make this fact distinct among all facts of one cause, each with its length."""
        return "".join([f"{len(text)}:{text}" for text in map(self._text_of, self.natural_key_fields)])

    def about(self) -> str:
        """Return the CloudEvents `subject`: what the fact is about, as people search for it."""
        return self._text_of(self.subject_field)

    def _text_of(self, field: str) -> str:
        value = getattr(self, field)
        return "" if value is None else str(value)
