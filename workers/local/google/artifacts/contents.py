"""The registry's content by the names of Artifact Registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from google.protobuf.timestamp_pb2 import Timestamp

from workers.local.google.api import ServedRegistry
from workers.local.registry.catalogue import Catalogue, StoredImage


class Contents:
    """What *registry* holds; nothing without one."""

    def __init__(self, registry: ServedRegistry | None) -> None:
        self._registry = registry
        self._catalogue = Catalogue(registry.data) if registry else None

    def repository_ids(self, location: str) -> set[str]:
        """Return the repositories below *location* (projects/*/locations/*) that hold an image."""
        if self._registry is None or self._catalogue is None or location != self._registry.location:
            return set()
        paths = (path.split("/") for path in self._catalogue.repositories())
        return {path[0] for path in paths if len(path) > 1}

    def holds(self, repository: str) -> bool:
        """Whether the registry has an image in a repository."""
        path = self._path(repository)
        return bool(path and self._catalogue and any(name != path for name in self._catalogue.repositories(path)))

    def packages(self, repository: str) -> list[str]:
        """Return the paths of the images in a repository, sorted."""
        path = self._path(repository)
        if path is None or self._catalogue is None:
            return []
        return sorted(name.removeprefix(f"{path}/") for name in self._catalogue.repositories(path) if name != path)

    def digests(self, repository: str, package: str) -> list[str]:
        """Return the digests of an image, sorted."""
        path = self._path(repository)
        return self._catalogue.digests(f"{path}/{package}") if path and self._catalogue else []

    def images(self, repository: str, package: str, digests: list[str]) -> Iterator[StoredImage]:
        """Yield the images with these digests, without those that are gone."""
        path = self._path(repository)
        if path is None or self._catalogue is None:
            return
        tags = self._catalogue.tags(f"{path}/{package}")
        for digest in digests:
            image = self._catalogue.image(f"{path}/{package}", digest, tags)
            if image is not None:
                yield image

    def tags(self, repository: str, package: str) -> Mapping[str, str]:
        """Return what each tag of an image points at."""
        path = self._path(repository)
        if path is None or self._catalogue is None:
            return {}
        return {tag: digest for tag, (digest, _) in self._catalogue.tags(f"{path}/{package}").items()}

    def json(self, digest: str) -> dict[str, Any]:
        """Return a manifest or configuration, empty when there is none."""
        return self._catalogue.json(digest) if self._catalogue else {}

    def uri(self, repository: str, package: str = "") -> str:
        """Return HOST/REPOSITORY, or HOST/REPOSITORY/IMAGE; empty for what this registry cannot hold."""
        path = self._path(repository)
        if self._registry is None or path is None:
            return ""
        return "/".join(part for part in (self._registry.host, path, package) if part)

    def _path(self, repository: str) -> str | None:
        """Return where a repository lies in the registry; None when it is in another project or location."""
        location, _, repository_id = repository.rpartition("/repositories/")
        return repository_id if self._registry is not None and location == self._registry.location else None


def unescaped(package: str) -> str:
    """Return the path of an image from its part of a name, where a slash may be written %2F."""
    return unquote(package)


def escaped(package: str) -> str:
    """Return the part of a name that is an image's path."""
    return package.replace("/", "%2F")


def timestamp(seconds: float) -> Timestamp:
    """Return Unix *seconds* as a Timestamp with microseconds."""
    stamp = Timestamp()
    stamp.FromMicroseconds(int(seconds * 1_000_000))
    return stamp
