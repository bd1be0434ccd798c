"""Registries in memory."""

import hashlib
from collections.abc import Sequence

from schemas.images import split_reference
from workers.failures import Denied, Invalid, Mismatch, NotFound, SealaneError, Unavailable
from workers.manifests import OCI_MANIFEST, read_manifest
from workers.ports import ResolvedImage
from workers.registries import RegistryAccess


class FakeImages:
    """Knows the images that were put into it, at hosts that are listed.

    `down` and `denied` hold hosts that do not answer, or let nobody pull. `failures` are raised by the next calls,
    one each. `asked` remembers every reference.
    """

    def __init__(self, *hosts: str, registries: Sequence[RegistryAccess] = ()) -> None:
        self.registries = [*registries, *(RegistryAccess(host=host) for host in hosts)]
        self.down: set[str] = set()
        self.denied: set[str] = set()
        self.failures: list[SealaneError] = []
        self.asked: list[str] = []
        self._manifests: dict[tuple[str, str], tuple[bytes, str]] = {}
        self._tags: dict[tuple[str, str], str] = {}

    def put(self, repository: str, tag: str | None, manifest: bytes, media_type: str = OCI_MANIFEST) -> str:
        """Store a manifest under HOST/PATH, point the tag at it, and return its digest."""
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        self._manifests[repository, digest] = manifest, media_type
        if tag is not None:
            self._tags[repository, tag] = digest
        return digest

    def remove(self, repository: str, digest: str) -> None:
        """Forget a manifest, as a registry does that holds a part of an index only."""
        del self._manifests[repository, digest]

    async def resolve(self, reference: str) -> ResolvedImage:
        """Say which digest the reference is."""
        self.asked.append(reference)
        if self.failures:
            raise self.failures.pop(0)
        try:
            host, path, tag, digest = split_reference(reference)
        except ValueError as error:
            raise Invalid(str(error)) from None
        self._require_access(host, path)
        if tag is None and digest is None:
            tag = "latest"
        repository = f"{host}/{path}"
        found = digest if tag is None else self._tags.get((repository, tag))
        if found is None or (repository, found) not in self._manifests:
            raise NotFound(f"{host} has no image {path}{f':{tag}' if tag else f'@{digest}'}")
        if digest not in {None, found}:
            raise Mismatch(f"{reference} names {digest}, but {host} says that {tag} is {found}")
        return ResolvedImage(host, path, tag, read_manifest(*self._manifests[repository, found]))

    def _require_access(self, host: str, path: str) -> None:
        entries = [access for access in self.registries if access.host == host]
        if not any(access.allows(path) for access in entries):
            raise Denied(f"{host}/{path} is not at a listed registry: add it to SEALANE_REGISTRIES")
        if host in self.down:
            raise Unavailable(f"{host} cannot be reached")
        if host in self.denied:
            raise Denied(f"{host} does not let us pull {path}")
