"""Makes real images without any tool: an OCI image layout in a folder, the same bytes on every machine.

Format: https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md. Layers are gzip of stored (not
compressed) blocks, written here, because what zlib makes of the same input depends on its version.
"""

import hashlib
import io
import json
import struct
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.local.registry.manifests import OCI_INDEX, OCI_MANIFEST

_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_REF_NAME = "org.opencontainers.image.ref.name"
_CREATED = "1970-01-01T00:00:00Z"
_STORED_BLOCK = 0xFFFF
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def sha256(body: bytes) -> str:
    """Return `sha256:…` of the bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest, or an index with its members, and the blobs below it."""

    media_type: str
    manifest: bytes
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    """Digest → bytes: config and layers."""
    members: tuple["Image", ...] = ()
    platform: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Digest of the manifest."""
        return sha256(self.manifest)

    def descriptor(self) -> dict[str, Any]:
        """Return how an index refers to this image."""
        found: dict[str, Any] = _descriptor(self.media_type, self.manifest)
        if self.platform:
            found["platform"] = dict(self.platform)
        return found

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Yield digest and bytes of all that the layout's blobs folder holds."""
        yield from self.blobs.items()
        for member in self.members:
            yield from member.contents()
        yield self.digest, self.manifest


def build_image(
    layers: Sequence[Mapping[str, bytes]],
    *,
    labels: Mapping[str, str] | None = None,
    architecture: str = "amd64",
    os: str = "linux",
    extra: Mapping[str, Any] | None = None,
) -> Image:
    """Build an image out of layers, each a mapping from path to content.

    `labels` go into the config. `extra` is added to the manifest: annotations, artifactType, subject.
    """
    tars = [_tar(files) for files in layers]
    blobs = [_gzip(tar) for tar in tars]
    config = _json(
        {
            "architecture": architecture,
            "os": os,
            "created": _CREATED,
            "config": {"Labels": dict(labels or {})},
            "rootfs": {"type": "layers", "diff_ids": [sha256(tar) for tar in tars]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [_descriptor(_LAYER, blob) for blob in blobs],
            **(extra or {}),
        }
    )
    contents = {sha256(body): body for body in (config, *blobs)}
    return Image(OCI_MANIFEST, manifest, contents, platform={"architecture": architecture, "os": os})


def build_index(members: Sequence[Image]) -> Image:
    """Build an index over images, one per platform."""
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [member.descriptor() for member in members],
    }
    return Image(OCI_INDEX, _json(index), members=tuple(members))


def write_layout(folder: Path, image: Image, *, tag: str = "latest") -> Path:
    """Write an image as an OCI image layout, which holds it under one tag, and return the folder."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for digest, body in image.contents():
        (blobs / digest.removeprefix("sha256:")).write_bytes(body)
    (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    descriptor = image.descriptor() | {"annotations": {_REF_NAME: tag}}
    (folder / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": [descriptor]}))
    return folder


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _descriptor(media_type: str, body: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": sha256(body), "size": len(body)}


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, body in sorted(files.items()):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = len(body)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()


def _gzip(raw: bytes) -> bytes:
    """Wrap bytes in gzip without compressing them (RFC 1951 section 3.2.4, RFC 1952)."""
    parts = [_GZIP_HEADER]
    starts = range(0, len(raw), _STORED_BLOCK) or range(1)
    for start in starts:
        block = raw[start : start + _STORED_BLOCK]
        last = start + _STORED_BLOCK >= len(raw)
        parts.append(struct.pack("<BHH", last, len(block), len(block) ^ _STORED_BLOCK) + block)
    parts.append(struct.pack("<II", zlib.crc32(raw), len(raw) & 0xFFFFFFFF))
    return b"".join(parts)
