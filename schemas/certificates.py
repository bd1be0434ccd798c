"""Facts about the certificates of tenants."""

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from schemas.events import Event
from schemas.github import Number, Path, Ref, RepositoryName, Sha
from schemas.tenants import MOST_NAMED_PATHS, TenantName

CertificateName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,510}[A-Za-z0-9])?$")]


class CertificateExpiring(Event):
    """A tenant's certificate ends soon, or a new one is asked for: by a path in a repository, a log, a person."""

    event_type: ClassVar[str] = "certificate.expiring"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("tenant", "certificate", "repository_id", "ref", "commit")
    subject_field: ClassVar[str] = "tenant"

    tenant: TenantName
    """The tenant whose certificate it is."""
    certificate: Annotated[CertificateName | None, Field(examples=["acme-edge"])] = None
    """Which certificate, as whoever noticed calls it; all of the tenant's when left out."""
    expires_at: Annotated[AwareDatetime | None, Field(examples=["2026-12-24T00:00:00Z"])] = None
    """When it ends, if that is known."""
    repository_id: Annotated[Number | None, Field(examples=[186853002])] = None
    """GitHub's number of the repository whose files asked for it."""
    repository: Annotated[RepositoryName | None, Field(examples=["acme/onboarding"])] = None
    """OWNER/NAME, as it was called then."""
    ref: Annotated[Ref | None, Field(examples=["refs/heads/main"])] = None
    """The branch or tag."""
    commit: Annotated[Sha | None, Field(examples=["6113728f27ae82c7b1a177c8d03f9e96e0adf246"])] = None
    """The commit in which the files say so."""
    change: Annotated[Literal["added", "modified", "removed"] | None, Field(examples=["modified"])] = None
    """What happened to the files."""
    paths: Annotated[
        tuple[Path, ...],
        Field(strict=False, max_length=MOST_NAMED_PATHS, examples=[["onboarding/acme/certificates/edge.yaml"]]),
    ] = ()
    """The files that changed, by name."""
    more_paths: Annotated[int, Field(ge=0, examples=[0])] = 0
    """How many further files changed."""
