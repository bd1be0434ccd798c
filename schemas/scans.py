"""Facts about scans for vulnerabilities."""

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, Field, StringConstraints

from schemas.events import Event
from schemas.images import REFERENCE_PATTERN


class ScanRequested(Event):
    """Somebody, mostly a clock, wants to know whether what runs is still free of known vulnerabilities."""

    event_type: ClassVar[str] = "scan.requested"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("image",)
    subject_field: ClassVar[str] = "image"

    image: Annotated[
        str | None,
        StringConstraints(pattern=REFERENCE_PATTERN, max_length=512),
        Field(examples=["europe-docker.pkg.dev/acme/apps/shop:1.4.2"]),
    ] = None
    """The image that is meant; all that run when left out."""
    requested_at: Annotated[AwareDatetime | None, Field(examples=["2026-11-02T09:30:00Z"])] = None
    """When it was asked for."""
    reason: Annotated[str, Field(max_length=255, examples=["nightly"])] = ""
    """Why, in the asker's words."""
