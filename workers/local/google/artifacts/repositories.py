"""Repositories: those that were created, and those that a push made.

Follows https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.cloud.artifactregistry_v1.types import repository as types
from google.cloud.artifactregistry_v1.types import service

from workers.local.google.api import Handler
from workers.local.google.artifacts.contents import Contents, timestamp
from workers.local.google.clock import now
from workers.local.google.names import check
from workers.local.google.operations import Operations
from workers.local.google.paging import TextPage, text_page
from workers.local.google.status import already_exists, invalid_argument, not_found, unimplemented
from workers.local.google.store import Store
from workers.local.google.transcode import check_representable
from workers.local.registry.catalogue import StoredImage

KIND = "Repository"
_Repository = types.Repository.pb()
_ListResponse = types.ListRepositoriesResponse.pb()
_Metadata = service.OperationMetadata.pb()
_Format = types.Repository.Format
_Mode = types.Repository.Mode


class Repositories:
    """The repositories in *store* and those in *contents*."""

    def __init__(self, store: Store, contents: Contents, operations: Operations) -> None:
        self._store = store
        self._contents = contents
        self._operations = operations

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {"CreateRepository": self.create, "GetRepository": self.get, "ListRepositories": self.listed}

    def create(self, request: Any) -> Any:
        """CreateRepository: a standard one for images."""
        parent = check("location", request.parent, "parent")
        name = f"{parent}/repositories/{check('repository id', request.repository_id, 'repository_id')}"
        repository = _Repository()
        repository.CopyFrom(request.repository)
        check_representable(repository, "repository")
        if repository.format_ == _Format.FORMAT_UNSPECIFIED:
            raise invalid_argument("repository.format is not set; it is required.", "repository.format")
        if repository.format_ != _Format.DOCKER or repository.mode not in (_Mode(0), _Mode.STANDARD_REPOSITORY):
            raise unimplemented("A repository that is not a standard one of the format DOCKER")
        repository.name, repository.mode = name, _Mode.STANDARD_REPOSITORY
        repository.create_time.CopyFrom(now())
        repository.update_time.CopyFrom(repository.create_time)
        if self._contents.holds(name) or not self._store.insert(KIND, name, parent, repository.SerializeToString()):
            raise already_exists(KIND, name)
        return self._operations.begin(parent, metadata=_Metadata(), response=self.read(name))

    def get(self, request: Any) -> Any:
        """GetRepository."""
        return self.read(request.name)

    def listed(self, request: Any) -> Any:
        """ListRepositories of one location, by name."""
        parent = check("location", request.parent, "parent")
        wanted = listing(request, f"{KIND}|{parent}")
        rows = self._store.execute("SELECT name FROM resources WHERE kind = ? AND parent = ?", (KIND, parent))
        names = {name for (name,) in rows}
        names |= {f"{parent}/repositories/{repository}" for repository in self._contents.repository_ids(parent)}
        chosen, token = wanted.of(names)
        return _ListResponse(repositories=[self.read(name) for name in chosen], next_page_token=token)

    def require(self, name: str, field: str = "name") -> str:
        """Return *name* if there is such a repository. Raises NOT_FOUND."""
        if self._store.read(KIND, check("repository", name, field)) is None and not self._contents.holds(name):
            raise not_found(KIND, name)
        return name

    def read(self, name: str) -> Any:
        """Return the repository *name*. Raises NOT_FOUND."""
        body = self._store.read(KIND, self.require(name))
        pushed = _Repository(name=name, format_=_Format.DOCKER, mode=_Mode.STANDARD_REPOSITORY)
        repository = pushed if body is None else _Repository.FromString(body)
        repository.registry_uri = self._contents.uri(name)
        images = list(self._images(name))
        if images and body is None:
            repository.create_time.CopyFrom(timestamp(min(image.pushed for image in images)))
        if images:
            newest = timestamp(max(image.changed for image in images))
            if newest.ToNanoseconds() > repository.update_time.ToNanoseconds():
                repository.update_time.CopyFrom(newest)
        return repository

    def _images(self, name: str) -> Iterator[StoredImage]:
        for package in self._contents.packages(name):
            yield from self._contents.images(name, package, self._contents.digests(name, package))


def listing(request: Any, scope: str) -> TextPage:
    """Return the page that a list request asks for. Raises UNIMPLEMENTED for an order or a filter."""
    for field in ("order_by", "filter"):
        if getattr(request, field, ""):
            raise unimplemented(f"{field} of the lists of Artifact Registry")
    return text_page(scope, size=request.page_size, token=request.page_token)
