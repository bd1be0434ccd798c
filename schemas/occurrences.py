"""Facts about occurrences: what Artifact Analysis found out about an image."""

import re
from typing import Annotated, ClassVar, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from schemas.events import Event

_PROJECT = r"[a-z0-9][a-z0-9.:-]{0,127}"
_LOCATION = r"[a-z][a-z0-9-]{0,62}"
OCCURRENCE_PATTERN = (
    rf"^projects/(?P<project>{_PROJECT})/(?:locations/(?P<location>{_LOCATION})/)?"
    r"occurrences/[A-Za-z0-9][A-Za-z0-9._~-]{0,254}$"
)
_NAME = re.compile(OCCURRENCE_PATTERN, re.ASCII)


class OccurrenceCreated(Event):
    """An occurrence was created or updated: a pointer, what it says has to be read at its source.

    Google announces both alike, and not each change once; it may be gone already when it is read.
    """

    event_type: ClassVar[str] = "occurrence.created"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("name", "kind")
    subject_field: ClassVar[str] = "name"

    name: Annotated[
        str,
        StringConstraints(pattern=OCCURRENCE_PATTERN.replace("?P<project>", "").replace("?P<location>", "")),
        Field(examples=["projects/acme/locations/europe-west1/occurrences/6f1c2d3e"]),
    ]
    """Resource name: `projects/P/occurrences/ID`, or `projects/P/locations/L/occurrences/ID`."""
    project: Annotated[str, Field(examples=["acme"])]
    """The project in its name."""
    location: Annotated[str | None, Field(examples=["europe-west1"])] = None
    """The location in its name, if it has one."""
    kind: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$"), Field(examples=["VULNERABILITY"])]
    """What it is about, in the API's words: VULNERABILITY, DISCOVERY, …"""
    notified_at: Annotated[AwareDatetime | None, Field(examples=["2026-11-02T09:30:00Z"])] = None
    """When Artifact Analysis said so."""

    @model_validator(mode="after")
    def _named_alike(self) -> Self:
        named = _NAME.fullmatch(self.name)
        if named is None or (self.project, self.location) != named.group("project", "location"):
            raise ValueError("project and location must be those in the name")
        return self
