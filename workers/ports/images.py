"""Container images, as the registries have them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from workers.manifests import Manifest


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """What a registry says an image reference is."""

    host: str
    path: str
    tag: str | None
    manifest: Manifest

    @property
    def digest(self) -> str:
        """Manifest digest, `sha256:…`, computed from the bytes that the registry sent."""
        return self.manifest.digest

    @property
    def media_type(self) -> str:
        """What kind of manifest it is."""
        return self.manifest.media_type

    @property
    def repository(self) -> str:
        """HOST/PATH."""
        return f"{self.host}/{self.path}"

    @property
    def uri(self) -> str:
        """HOST/PATH@DIGEST."""
        return f"{self.repository}@{self.digest}"


class Images(Protocol):
    """The registries that we are configured for."""

    async def resolve(self, reference: str) -> ResolvedImage:
        """Fetch the manifest that HOST/PATH[:TAG][@DIGEST] is, with our credentials for that host.

        Raises NotFound, Denied (also: host not listed, token realm elsewhere), Invalid (no manifest that we can read),
        Mismatch (the bytes have another digest than was said), Unavailable, QuotaExhausted.
        """


@dataclass(frozen=True, slots=True)
class StoredImage:
    """What a repository's list says of one manifest in it: an image, a platform of one, or an artifact."""

    uri: str
    """HOST/PATH@DIGEST."""
    media_type: str
    tags: tuple[str, ...] = ()
    uploaded_at: datetime | None = None
    """When it was pushed first: a tag that is added later does not move it."""
    artifact_type: str | None = None
    children: tuple[str, ...] = ()
    """Digests of the platforms that an index names."""

    @property
    def digest(self) -> str:
        """Manifest digest, `sha256:…`."""
        return self.uri.rpartition("@")[2]


class ImageInventory(Protocol):
    """Lists what a repository of container images holds, which registries themselves do not tell with times."""

    def of_repository(self, repository: str, *, since: datetime | None = None) -> AsyncIterator[StoredImage]:
        """Yield all manifests of `projects/P/locations/L/repositories/R`, those uploaded since, page by page.

        Raises NotFound, Denied, Invalid (no such name, or no Docker repository), Unavailable, QuotaExhausted.
        """
