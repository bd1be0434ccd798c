"""What a manifest says of itself: an image, an index over the platforms of one, or an artifact that is no image.

Pure reading, no asking. Sources: OCI image-spec v1.1.0 (manifest.md, image-index.md, artifacts guidance), Docker's
image manifest version 2 schema 2; cosign's tags (`sha256-<hex>.sig`) and BuildKit's attestation manifests
(annotation `vnd.docker.reference.type`).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.failures import Invalid

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFEST_TYPES = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
LIMIT = 4 << 20
"""Bytes that a manifest may have: what the OCI distribution specification asks every registry to take."""
MOST_CHILDREN = 256
"""Manifests that an index may name; official images have about twenty."""

_INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
_SCHEMA_1 = re.compile(r"application/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)")
IMAGE_CONFIGS = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
_EMPTY = "application/vnd.oci.empty.v1+json"
_LAYERS = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REFERENCE_TYPE = "vnd.docker.reference.type"
_UNKNOWN_PLATFORM = "unknown/unknown"
_COSIGN_TAG = re.compile(r"sha256-[0-9a-f]{64}(?:\.(?P<kind>sig|att|sbom))?")
_COSIGN_KINDS = {"sig": "a cosign signature", "att": "a cosign attestation", "sbom": "a cosign SBOM"}


@dataclass(frozen=True, slots=True)
class Child:
    """What an index says of one manifest that it names."""

    digest: str
    media_type: str
    platform: str | None = None
    """OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT."""
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_index(self) -> bool:
        """Whether it is an index itself."""
        return self.media_type in _INDEXES

    @property
    def artifact(self) -> str | None:
        """What it is if it is no image, as far as the index says; None for an image, and for an index."""
        if kind := self.annotations.get(_REFERENCE_TYPE):
            return f"BuildKit's {kind}"
        if self.artifact_type is not None and self.artifact_type not in IMAGE_CONFIGS:
            return f"an artifact of type {self.artifact_type}"
        if self.media_type not in MANIFEST_TYPES:
            return f"of the media type {self.media_type}, no image manifest"
        if self.platform == _UNKNOWN_PLATFORM:
            return f"for the platform {_UNKNOWN_PLATFORM}, on which nothing runs"
        return None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or an index, as far as it matters here."""

    digest: str
    """`sha256:…` over its bytes."""
    media_type: str
    artifact_type: str | None = None
    config_type: str | None = None
    """Media type of the config; None for an index."""
    layer_types: frozenset[str] = frozenset()
    subject: str | None = None
    """Digest of the manifest that this one is about."""
    children: tuple[Child, ...] = ()
    """What an index names, each digest once."""
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_index(self) -> bool:
        """Whether it stands for one image on several platforms."""
        return self.media_type in _INDEXES

    @property
    def artifact(self) -> str | None:
        """What it is if it is no image (a signature, an SBOM, an attestation, a chart, …); None for an image.

        An image that names a subject is an image: the subject says what it is about, not what it is. Config and layers
        decide, for cosign's signatures have the config of an image, but no layer that a runtime could mount.
        """
        if self.artifact_type is not None and self.artifact_type not in IMAGE_CONFIGS:
            return f"an artifact of type {self.artifact_type}"
        if self.is_index:
            kinds = {child.artifact for child in self.children}
            return None if None in kinds else "an index that names no image"
        if self.config_type == _EMPTY:
            return "an artifact with an empty config"
        if self.config_type not in IMAGE_CONFIGS:
            return f"an artifact with the config {self.config_type}"
        if self.layer_types and not any(kind.startswith(_LAYERS) for kind in self.layer_types):
            return f"an artifact with layers of {', '.join(sorted(self.layer_types))}"
        return None


def artifact_of_tag(tag: str | None) -> str | None:
    """Return what is kept under a tag of the form `sha256-<hex>.sig`; None for a tag of an image.

    Without a suffix it is the list of referrers of a registry that has no such list of its own.
    """
    found = _COSIGN_TAG.fullmatch(tag or "")
    if found is None:
        return None
    return _COSIGN_KINDS[found["kind"]] if found["kind"] else "a list of referrers"


def read_manifest(body: bytes, content_type: str) -> Manifest:
    """Read the bytes of a manifest; the content type decides, or the manifest itself where that says nothing.

    Raises Invalid: it cannot be read, or it is of an unknown media type or schema 1.
    """
    if len(body) > LIMIT:
        raise Invalid(f"the manifest has {len(body)} bytes, more than the {LIMIT} that a registry takes")
    fields = _object(body)
    media_type = _media_type(fields, content_type)
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    artifact_type, subject = _text(fields, "artifactType"), fields.get("subject")
    annotations = _annotations(fields)
    about = None if subject is None else _descriptor(subject, "subject")[0]
    if media_type in _INDEXES:
        children = _children(fields, digest)
        return Manifest(digest, media_type, artifact_type, None, frozenset(), about, children, annotations)
    _, config_type = _descriptor(fields.get("config"), "config")
    layers = [_descriptor(layer, f"layers[{n}]")[1] for n, layer in enumerate(_list(fields, "layers"))]
    return Manifest(digest, media_type, artifact_type, config_type, frozenset(layers), about, (), annotations)


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise Invalid("the manifest is not JSON: push the image again") from None
    if not isinstance(fields, dict):
        raise Invalid("the manifest is JSON, but no object: push the image again")
    return fields


def _media_type(fields: Mapping[str, Any], content_type: str) -> str:
    inside = _text(fields, "mediaType")
    if _SCHEMA_1.fullmatch(content_type) or fields.get("schemaVersion") == 1:
        raise Invalid("the manifest is of Docker's schema 1, which nobody runs any more: push the image again")
    if content_type not in MANIFEST_TYPES and inside not in MANIFEST_TYPES:
        raise Invalid(
            f"the manifest is of the unknown media type {(inside or content_type)[:127]!r}: push an OCI or Docker"
            " (schema 2) image"
        )
    if content_type in MANIFEST_TYPES and inside not in {None, content_type}:
        # One digest must mean one thing to whoever reads it (CVE-2021-41190).
        raise Invalid(f"the registry says that the manifest is {content_type}, the manifest says {inside[:127]!r}")
    media_type = content_type if content_type in MANIFEST_TYPES else str(inside)
    foreign = ("config", "layers") if media_type in _INDEXES else ("manifests",)
    if confusing := [name for name in foreign if name in fields]:
        raise Invalid(f"the manifest is {media_type}, yet holds {confusing[0]!r}, so that it can be read in two ways")
    return media_type


def _children(fields: Mapping[str, Any], digest: str) -> tuple[Child, ...]:
    listed = _list(fields, "manifests")
    if len(listed) > MOST_CHILDREN:
        raise Invalid(f"the index {digest} names {len(listed)} manifests; {MOST_CHILDREN} are the most that are signed")
    found: dict[str, Child] = {}
    for number, entry in enumerate(listed):
        child, media_type = _descriptor(entry, f"manifests[{number}]")
        platform = _platform(entry.get("platform"), f"manifests[{number}].platform")
        found.setdefault(child, Child(child, media_type, platform, _text(entry, "artifactType"), _annotations(entry)))
    return tuple(found.values())


def _platform(value: Any, where: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Invalid(f"{where} of the manifest is no platform: push the image again")
    parts = [_text(value, "os"), _text(value, "architecture"), _text(value, "variant")]
    return "/".join(part or "unknown" for part in (parts if parts[2] else parts[:2]))


def _descriptor(value: Any, where: str) -> tuple[str, str]:
    """Return digest and media type of a descriptor."""
    if not isinstance(value, dict) or not isinstance(value.get("mediaType"), str):
        raise Invalid(f"{where} of the manifest is no descriptor with a media type: push the image again")
    digest = value.get("digest")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise Invalid(f"{where} of the manifest has no SHA-256 digest: push the image again")
    return digest, value["mediaType"][:127]


def _annotations(fields: Mapping[str, Any]) -> Mapping[str, str]:
    found = fields.get("annotations")
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: value for name, value in pairs if isinstance(value, str)}


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise Invalid(f"{name!r} of the manifest is not a text: push the image again")
    return value[:127] if value else None


def _list(fields: Mapping[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    if not isinstance(value, list):
        raise Invalid(f"{name!r} of the manifest is not a list: push the image again")
    return value
