"""The subscriptions that the bridge carries to the bus, and what their messages become: data, part of the settings.

A mapping is a list of cases, tried in order; the first whose `when` holds counts. A case either emits an event, whose
fields are expressions, or ignores the message, knowingly, with a reason. A message that no case is about becomes a
dead letter: nobody has thought of it. Expressions are JMESPath (`workers/expressions.py`) over

    {"data": …, "attributes": {…}, "messageId": "…", "publishTime": "…", "orderingKey": "…", "subscription": "…"}

where `data` is the body as `body` says: `json` (what its JSON holds), `text`, or `none` (null, whatever it is). A topic
on which a Nexus repository's webhooks arrive, for example:

    [{"subscription": "projects/acme/subscriptions/nexus-bridge", "mapping": {"cases": [
        {"when": "data.component.format != 'docker'", "ignore": "no image"},
        {"when": "data.action == 'CREATED'", "emit": "image.pushed", "fields": {
            "image": "join('', ['nexus.example.com/', data.component.name, ':', data.component.version])",
            "labels": "{repository: data.repositoryName}"}},
        {"ignore": "nothing was pushed"}]}}]
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from schemas.catalogue import CATALOGUE
from schemas.events import Event
from schemas.feeds import SUBSCRIPTION_PATTERN
from workers.json_settings import json_setting

READ = ("data", "attributes", "messageId", "publishTime", "orderingKey", "subscription")
"""What an expression may read of a message."""
_MODEL = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def _readable(text: str) -> str:
    from workers.expressions import names_read  # noqa: PLC0415 - only where somebody wrote a mapping

    if unknown := sorted(names_read(text) - set(READ)):
        raise ValueError(
            f"{text!r} reads {unknown[0]!r}, which no message has: begin with one of {', '.join(READ)}, and"
            " write texts in single quotes"
        )
    return text


Expression = Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(_readable)]


class Case(BaseModel):
    """What becomes of messages of one kind."""

    model_config = _MODEL

    when: Annotated[Expression | None, Field(examples=["data.action == 'DELETE'"])] = None
    """What must hold for the case to be tried; always, when left out."""
    emit: Annotated[
        Literal["image.pushed", "occurrence.created", "scan.requested"] | None, Field(examples=["image.pushed"])
    ] = None
    """The type of event that the message becomes."""
    fields: Annotated[dict[str, Expression], Field(examples=[{"image": "data.tag"}])] = Field(default_factory=dict)
    """The fields of the event, each an expression; what is null is left out."""
    ignore: Annotated[str | None, Field(min_length=1, max_length=255, examples=["an image was deleted"])] = None
    """Why such a message becomes no event."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.emit is None) == (self.ignore is None):
            raise ValueError("a case says either `emit`, an event, or `ignore`, a reason")
        if self.ignore is not None and self.fields:
            raise ValueError("a case that ignores has no `fields`")
        if self.emit is not None:
            _fitting(CATALOGUE[self.emit], self.fields)
        return self


def _fitting(event: type[Event], fields: Iterable[str]) -> None:
    """Raise ValueError when an event has no such fields, or needs others."""
    known = event.model_fields
    if unknown := sorted(set(fields) - set(known)):
        raise ValueError(f"{event.event_type} has no field {unknown[0]!r}: its fields are {', '.join(known)}")
    if missing := [name for name, field in known.items() if field.is_required() and name not in fields]:
        raise ValueError(f"{event.event_type} needs the field {missing[0]!r}")


class Mapping(BaseModel):
    """What the messages of a subscription become."""

    model_config = _MODEL

    body: Literal["json", "text", "none"] = "json"
    """How the body is read."""
    cases: Annotated[tuple[Case, ...], Field(strict=False, min_length=1, max_length=100)]
    """The cases, in order."""

    @model_validator(mode="after")
    def _all_reached(self) -> Self:
        always = [number for number, case in enumerate(self.cases, start=1) if case.when is None]
        if always and always[0] < len(self.cases):
            raise ValueError(f"case {always[0]} has no `when`, so no case after it is ever tried: put it last")
        return self


class Subscription(BaseModel):
    """One subscription that the bridge carries."""

    model_config = _MODEL

    subscription: Annotated[
        str, StringConstraints(pattern=SUBSCRIPTION_PATTERN), Field(examples=["projects/acme/subscriptions/gcr-bridge"])
    ]
    """Its resource name."""
    mapping: Annotated[
        Annotated[Literal["gcr", "occurrences", "scans"], Tag("built-in")] | Annotated[Mapping, Tag("own")],
        Discriminator(lambda value: "built-in" if isinstance(value, str) else "own"),
        Field(examples=["gcr"]),
    ]
    """`gcr` (Artifact Registry), `occurrences` (Artifact Analysis), `scans` (a scheduler's topic), or one of your own:
    `{"body": "json", "cases": [{"when": …, "emit": …, "fields": {…}}, …]}`."""
    most: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """Messages that are held at once in one process."""
    lease: Annotated[int, Field(ge=10, le=600)] = 30
    """Seconds for which a message is leased at a time: how long what a killed process held stays away."""


class Subscriptions(BaseModel):
    """All subscriptions. Read from a list, its JSON text, or the path of a JSON file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    subscriptions: tuple[Subscription, ...] = ()
    """The subscriptions; none means that nothing is carried."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = json_setting(value, "the feeds") or []
        if isinstance(value, dict) and set(value) <= {"subscriptions"}:
            value = value.get("subscriptions", ())
        if not isinstance(value, list | tuple):
            raise ValueError('the feeds are not a list: write [{"subscription": …, "mapping": …}, …]')  # noqa: TRY004 - pydantic reports ValueError with its place, a TypeError ends the process
        return {"subscriptions": tuple(_subscription(number, item) for number, item in enumerate(value, start=1))}

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [one.subscription for one in self.subscriptions]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{doubled[0]} is listed twice: a subscription has one mapping")
        return self


def _subscription(number: int, item: Any) -> Subscription:
    if isinstance(item, Subscription):
        return item
    try:
        return Subscription.model_validate(item)
    except ValidationError as error:
        raise ValueError(f"feed {number}{_said(error.errors(include_url=False, include_input=False)[0])}") from None


def _said(first: ErrorDetails) -> str:
    """Return where it is, counted from one as people do, and what is wrong there."""
    # Which of the two kinds of mapping is meant is pydantic's word, which nobody wrote.
    place = [part for part in first["loc"] if part not in {"own", "built-in", "cases"}]
    words = [f"case {part + 1}" if isinstance(part, int) else f"field {part!r}" for part in place]
    return ", ".join(["", *words]) + ": " + _sentence(first)


def _sentence(first: ErrorDetails) -> str:
    kind, text = first["type"], str(first["msg"]).removeprefix("Value error, ")
    words = {
        "missing": "is missing",
        "extra_forbidden": "there is no such field",
        "string_pattern_mismatch": "is no subscription: write projects/PROJECT/subscriptions/NAME",
        "model_type": "is no JSON object",
        "dict_type": "is no JSON object",
        "too_short": "is empty: list one at least",
    }
    return words.get(kind, text)
