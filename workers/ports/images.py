"""Container images, as the registries have them."""

from dataclasses import dataclass
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
