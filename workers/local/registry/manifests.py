"""What a manifest is: its media types, what it refers to, and how it is described to those who ask for referrers."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workers.local.registry import names
from workers.local.registry.errors import RegistryError

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
_MEDIA_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST}) | _INDEXES


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content by digest, with its size in bytes."""

    digest: str
    size: int

    @classmethod
    def of(cls, value: Any, where: str) -> "Descriptor":
        """Read one from JSON. Raises MANIFEST_INVALID naming the place."""
        if not isinstance(value, dict):
            raise RegistryError("MANIFEST_INVALID", f"{where} is not a descriptor")
        size = value.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise RegistryError("MANIFEST_INVALID", f"{where} has no size")
        try:
            return cls(names.digest(str(value.get("digest"))), size)
        except RegistryError:
            raise RegistryError("MANIFEST_INVALID", f"{where} has no SHA-256 digest") from None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A parsed manifest."""

    media_type: str
    body: bytes
    fields: Mapping[str, Any]

    @classmethod
    def parse(cls, body: bytes, content_type: str) -> "Manifest":
        """Read a pushed manifest. Raises MANIFEST_INVALID."""
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            raise RegistryError("MANIFEST_INVALID", "the manifest is not JSON") from None
        if not isinstance(fields, dict) or fields.get("schemaVersion") != 2:  # noqa: PLR2004 - the version served here
            raise RegistryError("MANIFEST_INVALID", "the manifest is not an object with schemaVersion 2")
        if content_type not in _MEDIA_TYPES:
            raise RegistryError("MANIFEST_INVALID", f"{content_type!r} is not a media type of a manifest or an index")
        if fields.get("mediaType", content_type) != content_type:
            raise RegistryError("MANIFEST_INVALID", "the Content-Type and the manifest's mediaType disagree")
        return cls(content_type, body, fields)

    @property
    def digest(self) -> str:
        """SHA-256 over the pushed bytes."""
        return f"sha256:{hashlib.sha256(self.body).hexdigest()}"

    @property
    def subject(self) -> str | None:
        """Digest of the manifest which this one is about, if any."""
        if self.fields.get("subject") is None:
            return None
        return Descriptor.of(self.fields["subject"], "subject").digest

    def blobs(self) -> Iterator[Descriptor]:
        """Yield what must be there as a blob: config and layers, without layers that live at other URLs."""
        if self.media_type in _INDEXES:
            return
        yield Descriptor.of(self.fields.get("config"), "config")
        for number, layer in enumerate(self._list("layers")):
            if not (isinstance(layer, dict) and layer.get("urls")):
                yield Descriptor.of(layer, f"layers[{number}]")

    def children(self) -> Iterator[Descriptor]:
        """Yield what must be there as a manifest: the members of an index."""
        if self.media_type in _INDEXES:
            for number, child in enumerate(self._list("manifests")):
                yield Descriptor.of(child, f"manifests[{number}]")

    def describe(self) -> dict[str, Any]:
        """Return the descriptor of this manifest for the list of referrers."""
        config = self.fields.get("config")
        config_type = config.get("mediaType") if isinstance(config, dict) else None
        artifact_type = self.fields.get("artifactType") or config_type
        found: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body)}
        if artifact_type:
            found["artifactType"] = artifact_type
        if self.fields.get("annotations"):
            found["annotations"] = self.fields["annotations"]
        return found

    def _list(self, field: str) -> list[Any]:
        value = self.fields.get(field)
        if not isinstance(value, list):
            raise RegistryError("MANIFEST_INVALID", f"{field} is not a list")
        return value
