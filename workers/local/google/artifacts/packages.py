"""Packages (the paths of images), their versions (digests) and tags.

Follows https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.packages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from google.cloud.artifactregistry_v1.types import package as package_types
from google.cloud.artifactregistry_v1.types import tag as tag_types
from google.cloud.artifactregistry_v1.types import version as version_types

from workers.local.google.api import Handler
from workers.local.google.artifacts.contents import Contents, escaped, timestamp, unescaped
from workers.local.google.artifacts.images import described
from workers.local.google.artifacts.repositories import Repositories, listing
from workers.local.google.names import check
from workers.local.google.paging import text_page
from workers.local.google.status import not_found, unimplemented
from workers.local.registry.catalogue import StoredImage

_Package = package_types.Package.pb()
_PackageList = package_types.ListPackagesResponse.pb()
_Version = version_types.Version.pb()
_VersionList = version_types.ListVersionsResponse.pb()
_Tag = tag_types.Tag.pb()
_TagList = tag_types.ListTagsResponse.pb()
_FULL = version_types.VersionView.FULL
_OF_VERSION = re.compile(r'version\s*=\s*"([^"]+)"')


class Packages:
    """The packages of *repositories*, read from *contents*."""

    def __init__(self, repositories: Repositories, contents: Contents) -> None:
        self._repositories = repositories
        self._contents = contents

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {
            "GetPackage": self.get,
            "ListPackages": self.listed,
            "GetVersion": self.version,
            "ListVersions": self.versions,
            "GetTag": self.tag,
            "ListTags": self.tags,
        }

    def get(self, request: Any) -> Any:
        """GetPackage."""
        repository, package = self._split(request.name)
        return self._package(repository, package)

    def listed(self, request: Any) -> Any:
        """ListPackages of a repository, by name."""
        repository = self._repositories.require(request.parent, "parent")
        chosen, token = listing(request, f"Package|{repository}").of(self._contents.packages(repository))
        return _PackageList(packages=[self._package(repository, name) for name in chosen], next_page_token=token)

    def version(self, request: Any) -> Any:
        """GetVersion."""
        parent, _, digest = check("version", request.name).rpartition("/versions/")
        repository, package = self._split(parent)
        for image in self._contents.images(repository, package, [digest]):
            return self._version(repository, package, image, full=request.view == _FULL)
        raise not_found("Version", request.name)

    def versions(self, request: Any) -> Any:
        """ListVersions of a package, by digest; their tags only in the full view."""
        repository, package = self._split(request.parent, "parent")
        wanted = listing(request, f"Version|{repository}|{package}")
        chosen, token = wanted.of(self._contents.digests(repository, package))
        images = self._contents.images(repository, package, chosen)
        found = [self._version(repository, package, image, full=request.view == _FULL) for image in images]
        return _VersionList(versions=found, next_page_token=token)

    def tag(self, request: Any) -> Any:
        """GetTag."""
        parent, _, tag = check("tag", request.name).rpartition("/tags/")
        repository, package = self._split(parent)
        digest = self._contents.tags(repository, package).get(tag)
        if digest is None:
            raise not_found("Tag", request.name)
        return _tag(_name(repository, package), tag, digest)

    def tags(self, request: Any) -> Any:
        """ListTags of a package, by name; the filter may name one version."""
        repository, package = self._split(request.parent, "parent")
        tags = self._contents.tags(repository, package)
        if request.filter:
            asked = _OF_VERSION.fullmatch(request.filter.strip())
            if asked is None:
                raise unimplemented("A filter of tags other than version")
            tags = {tag: digest for tag, digest in tags.items() if digest == asked[1].rpartition("/")[2]}
        scope = f"Tag|{repository}|{package}|{request.filter}"
        chosen, token = text_page(scope, size=request.page_size, token=request.page_token).of(tags)
        found = [_tag(_name(repository, package), tag, tags[tag]) for tag in chosen]
        return _TagList(tags=found, next_page_token=token)

    def _split(self, name: str, field: str = "name") -> tuple[str, str]:
        """Return the repository and the path of a package that is there. Raises NOT_FOUND."""
        repository, _, part = check("package", name, field).partition("/packages/")
        self._repositories.require(repository, field)
        package = unescaped(part)
        if package not in self._contents.packages(repository):
            raise not_found("Package", name)
        return repository, package

    def _package(self, repository: str, package: str) -> Any:
        found = _Package(name=_name(repository, package))
        images = list(self._contents.images(repository, package, self._contents.digests(repository, package)))
        if images:
            found.create_time.CopyFrom(timestamp(min(image.pushed for image in images)))
            found.update_time.CopyFrom(timestamp(max(image.changed for image in images)))
        return found

    def _version(self, repository: str, package: str, image: StoredImage, *, full: bool) -> Any:
        name = _name(repository, package)
        found = _Version(
            name=f"{name}/versions/{image.digest}",
            create_time=timestamp(image.pushed),
            update_time=timestamp(image.changed),
            related_tags=[_tag(name, tag, image.digest) for tag in image.tags] if full else [],
        )
        docker = described(self._contents, repository, package, image)
        found.metadata.update(
            {
                "name": docker.name,
                "imageSizeBytes": str(docker.image_size_bytes),
                "mediaType": docker.media_type,
                "artifactType": docker.artifact_type,
                "buildTime": docker.build_time.ToJsonString() if docker.HasField("build_time") else "",
            }
        )
        return found


def _name(repository: str, package: str) -> str:
    return f"{repository}/packages/{escaped(package)}"


def _tag(package: str, tag: str, digest: str) -> Any:
    return _Tag(name=f"{package}/tags/{tag}", version=f"{package}/versions/{digest}")
