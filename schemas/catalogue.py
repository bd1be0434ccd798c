"""The list of all events, by type."""

from collections.abc import Mapping
from typing import Any

from schemas.attestors import AttestationRequested, AttestorRotate, AttestorRotated
from schemas.certificates import CertificateExpiring
from schemas.echoes import EchoAnswered, EchoRequested
from schemas.events import Event
from schemas.github import GithubPackagePublished, GithubPushed
from schemas.images import ImageAttested, ImagePushed
from schemas.occurrences import OccurrenceCreated
from schemas.scans import ScanRequested
from schemas.tenants import TenantOffboarded, TenantOnboarded

EVENTS: tuple[type[Event], ...] = (
    *(ImagePushed, ImageAttested),
    *(OccurrenceCreated, ScanRequested),
    *(AttestorRotate, AttestorRotated, AttestationRequested),
    *(GithubPushed, GithubPackagePublished),
    *(TenantOnboarded, TenantOffboarded, CertificateExpiring),
    *(EchoRequested, EchoAnswered),
)
CATALOGUE: Mapping[str, type[Event]] = {event.event_type: event for event in EVENTS}


def example_of(event: type[Event]) -> dict[str, Any]:
    """Return the JSON object made of the first example of every field."""
    fields = event.model_json_schema()["properties"]
    return {name: field["examples"][0] for name, field in fields.items() if field.get("examples")}
