"""What repositories hold: Artifact Registry's ListDockerImages.

https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.dockerImages
"""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from workers.adapters.google.connection import ARTIFACTS, GoogleConnection
from workers.adapters.google.errors import Errand
from workers.failures import Invalid
from workers.ports import StoredImage

CALL_SECONDS = 30.0
PAGE_SIZE = 1000
"""The most that one answer may hold."""
_REPOSITORY = re.compile(r"projects/[^/\s]+/locations/[^/\s]+/repositories/[^/\s]+")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class ArtifactRegistry:
    """The port ImageInventory on Artifact Registry."""

    def __init__(self, google: GoogleConnection) -> None:
        self._google = google

    async def of_repository(self, repository: str, *, since: datetime | None = None) -> AsyncIterator[StoredImage]:
        """Ask ListDockerImages, all pages; the service cannot filter by time, so it is done here."""
        if not _REPOSITORY.fullmatch(repository):
            raise Invalid(
                f"{repository!r} is no repository: write projects/PROJECT/locations/LOCATION/repositories/NAME"
            )
        errand = Errand(
            ARTIFACTS.title,
            "list the images of",
            repository,
            "artifactregistry.dockerimages.list",
            "roles/artifactregistry.reader",
            "check that it is a repository of the format Docker",
        )
        request = {"parent": repository, "page_size": PAGE_SIZE}
        await self._google.prepare(ARTIFACTS)
        while True:
            page = await self._google.call(
                ARTIFACTS, "list_docker_images", request, errand=errand, timeout=CALL_SECONDS
            )
            for image in page.docker_images:
                found = _stored(image)
                if since is None or found.uploaded_at is None or found.uploaded_at >= since:
                    yield found
            if not page.next_page_token:
                return
            request["page_token"] = page.next_page_token


def _stored(image: Any) -> StoredImage:
    return StoredImage(
        uri=image.uri,
        media_type=image.media_type,
        tags=tuple(image.tags),
        uploaded_at=image.upload_time,
        artifact_type=image.artifact_type or None,
        children=tuple(child.digest for child in image.image_manifests if _DIGEST.fullmatch(child.digest)),
    )
