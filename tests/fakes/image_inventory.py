"""Repositories of images in memory, with the times of upload."""

import re
from collections.abc import AsyncIterator
from datetime import datetime

from workers.failures import Denied, Invalid, NotFound
from workers.ports import StoredImage


class FakeImageInventory:
    """Knows what was put into its repositories, by name and in the order of the addresses."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, StoredImage]] = {}
        self.denied: set[str] = set()
        """Repositories that we may not list."""

    def put(self, repository: str, *images: StoredImage) -> None:
        """Store images; one that is there already is replaced."""
        self.repositories.setdefault(repository, {}).update({image.uri: image for image in images})

    async def of_repository(self, repository: str, *, since: datetime | None = None) -> AsyncIterator[StoredImage]:
        """Yield what was put there, since the time."""
        if not re.fullmatch(r"projects/[^/\s]+/locations/[^/\s]+/repositories/[^/\s]+", repository):
            raise Invalid(f"{repository!r} is no repository")
        if repository in self.denied:
            raise Denied(f"we may not list {repository}: grant roles/artifactregistry.reader")
        if repository not in self.repositories:
            raise NotFound(f"there is no repository {repository}")
        for _, image in sorted(self.repositories[repository].items()):
            if since is None or image.uploaded_at is None or image.uploaded_at >= since:
                yield image
