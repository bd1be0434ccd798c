"""Docker images: every manifest in a repository.

Follows https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.dockerImages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from google.cloud.artifactregistry_v1.types import artifact

from workers.local.google.api import Handler
from workers.local.google.artifacts.contents import Contents, escaped, timestamp, unescaped
from workers.local.google.artifacts.repositories import Repositories, listing
from workers.local.google.names import check
from workers.local.google.status import not_found
from workers.local.registry.catalogue import StoredImage

KIND = "DockerImage"
_DockerImage = artifact.DockerImage.pb()
_ListResponse = artifact.ListDockerImagesResponse.pb()
_ImageManifest = artifact.ImageManifest.pb()


class DockerImages:
    """The images of *repositories*, read from *contents* in a thread: a page is up to some thousand small files."""

    def __init__(self, repositories: Repositories, contents: Contents) -> None:
        self._repositories = repositories
        self._contents = contents

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {"GetDockerImage": self.get, "ListDockerImages": self.listed}

    def get(self, request: Any) -> Any:
        """GetDockerImage."""
        name = check("docker image", request.name)
        repository, _, image = name.rpartition("/dockerImages/")
        package, _, digest = image.rpartition("@")
        self._repositories.require(repository)
        path = unescaped(package)
        # Only what is listed is opened: a name may hold dots and slashes.
        if path in self._contents.packages(repository):
            for found in self._contents.images(repository, path, [digest]):
                return described(self._contents, repository, path, found)
        raise not_found(KIND, name)

    async def listed(self, request: Any) -> Any:
        """ListDockerImages of one repository, by name and digest."""
        repository = self._repositories.require(request.parent, "parent")
        wanted = listing(request, f"{KIND}|{repository}")
        return await asyncio.to_thread(self._page, repository, wanted)

    def _page(self, repository: str, wanted: Any) -> Any:
        contents = self._contents
        packages = contents.packages(repository)
        keys = (f"{package}@{digest}" for package in packages for digest in contents.digests(repository, package))
        chosen, token = wanted.of(keys)
        answer = _ListResponse(next_page_token=token)
        for package, group in groupby((key.rpartition("@") for key in chosen), key=lambda key: key[0]):
            for image in contents.images(repository, package, [digest for _, _, digest in group]):
                answer.docker_images.append(described(contents, repository, package, image))
        return answer


def described(contents: Contents, repository: str, package: str, image: StoredImage) -> Any:
    """Return the DockerImage of a stored manifest."""
    manifest = contents.json(image.digest)
    found = _DockerImage(
        name=f"{repository}/dockerImages/{escaped(package)}@{image.digest}",
        uri=f"{contents.uri(repository, package)}@{image.digest}",
        tags=image.tags,
        media_type=image.media_type,
        image_size_bytes=_size(contents, manifest),
        artifact_type=_artifact_type(manifest, image.media_type),
        upload_time=timestamp(image.pushed),
        update_time=timestamp(image.changed),
    )
    _set_build_time(found, contents.json(_text(_object(manifest, "config"), "digest")))
    for child in _objects(manifest, "manifests"):
        found.image_manifests.append(_member(child))
    return found


def _size(contents: Contents, manifest: Mapping[str, Any]) -> int:
    members = [contents.json(_text(child, "digest")) for child in _objects(manifest, "manifests")]
    parts = [
        part
        for each in (manifest, *members)
        for part in (_object(each, "config"), *_objects(each, "layers"))
        if isinstance(part.get("size"), int)
    ]
    return sum(part["size"] for part in parts)


def _artifact_type(manifest: Mapping[str, Any], media_type: str) -> str:
    """Return the artifactType; a manifest with a subject and without one has its media type, as the reference says."""
    return _text(manifest, "artifactType") or (media_type if manifest.get("subject") else "")


def _set_build_time(image: Any, config: Mapping[str, Any]) -> None:
    try:
        image.build_time.FromJsonString(_text(config, "created"))
    except ValueError:
        image.ClearField("build_time")


def _member(child: Mapping[str, Any]) -> Any:
    platform = _object(child, "platform")
    return _ImageManifest(
        architecture=_text(platform, "architecture"),
        os=_text(platform, "os"),
        digest=_text(child, "digest"),
        media_type=_text(child, "mediaType"),
        os_version=_text(platform, "os.version"),
        variant=_text(platform, "variant"),
    )


def _object(parent: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = parent.get(field)
    return value if isinstance(value, dict) else {}


def _objects(parent: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    value = parent.get(field)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(parent: Mapping[str, Any], field: str) -> str:
    value = parent.get(field)
    return value if isinstance(value, str) else ""
