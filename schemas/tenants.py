"""Facts about tenants: who is asked for, changed or let go, as a repository says it."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from schemas.events import Event
from schemas.github import Number, Path, Ref, RepositoryName, Sha

TENANT_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
"""A DNS label (RFC 1123), in ASCII: it becomes the name of a namespace."""
TenantName = Annotated[str, StringConstraints(pattern=TENANT_PATTERN), Field(examples=["acme"])]
MOST_NAMED_PATHS = 64
"""Paths that an event names; the commit has them all."""
_PATHS = [["onboarding/acme/tenant.yaml"]]
_COMMIT = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"


class DeclaredInRepository(Event):
    """Where a fact is declared: what every event has that a path in a repository made."""

    repository_id: Annotated[Number, Field(examples=[186853002])]
    """GitHub's number of the repository."""
    repository: Annotated[RepositoryName, Field(examples=["acme/onboarding"])]
    """OWNER/NAME, as it was called then."""
    ref: Annotated[Ref, Field(examples=["refs/heads/main"])]
    """The branch or tag."""
    commit: Annotated[Sha, Field(examples=[_COMMIT])]
    """The commit in which it is so: read the files there, not at the ref. Zeros when the ref is gone."""
    change: Annotated[Literal["added", "modified", "removed"], Field(examples=["added"])]
    """What happened to the files: some are new, only known ones changed, or all are gone."""
    paths: Annotated[tuple[Path, ...], Field(strict=False, max_length=MOST_NAMED_PATHS, examples=_PATHS)]
    """The files that changed, by name."""
    more_paths: Annotated[int, Field(ge=0, examples=[0])] = 0
    """How many further files changed."""


class TenantOnboarded(DeclaredInRepository):
    """A tenant was declared in a repository, or its declaration changed."""

    event_type: ClassVar[str] = "tenant.onboarded"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("tenant", "repository_id", "ref", "commit")
    subject_field: ClassVar[str] = "tenant"

    tenant: TenantName
    """The tenant's name."""


class TenantOffboarded(DeclaredInRepository):
    """A tenant's declaration is gone from the repository."""

    event_type: ClassVar[str] = "tenant.offboarded"
    natural_key_fields: ClassVar[tuple[str, ...]] = ("tenant", "repository_id", "ref", "commit")
    subject_field: ClassVar[str] = "tenant"

    tenant: TenantName
    """The tenant's name."""
