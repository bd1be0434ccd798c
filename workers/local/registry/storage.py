"""Content and links on disk.

    DATA/blobs/sha256/ab/abcd…                      content, shared by all repositories
    DATA/repositories/NAME/_blobs/HEX               this repository has the blob
    DATA/repositories/NAME/_manifests/HEX           this repository has the manifest; the file holds its media type
    DATA/repositories/NAME/_tags/TAG                the file holds a digest
    DATA/repositories/NAME/_referrers/SUBJECT/HEX   the file holds a descriptor
    DATA/incoming/…                                 files on their way, renamed when complete

A component of a repository name never begins with an underscore, so links and nested repositories cannot collide.
Every file appears by rename, content before links and the tag last: a process killed at any point leaves either the
old state or the new one, and the same push made again completes it.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it was pushed, byte for byte."""

    digest: str
    media_type: str
    body: bytes


def sha256_of(path: Path) -> str:
    """Hash a file in constant memory and return `sha256:…`."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return f"sha256:{hasher.hexdigest()}"


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


class Storage:
    """The files below one folder. All names must have passed `names` before they come here."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs" / "sha256"
        self._repositories = root / "repositories"
        self._incoming = root / "incoming"
        for folder in (self._blobs, self._repositories, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)
        for left_over in self._incoming.iterdir():
            left_over.unlink()

    def has_repository(self, name: str) -> bool:
        """Whether anything was ever stored under this name."""
        return any((self._repositories / name / kind).is_dir() for kind in ("_blobs", "_manifests"))

    # ── blobs ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def blob(self, name: str, digest: str) -> Path | None:
        """Return the file of a blob that the repository has, or None."""
        path = self._content(digest)
        return path if self._link(name, "_blobs", digest).exists() and path.exists() else None

    def adopt_blob(self, name: str, digest: str, source: Path) -> None:
        """Move a complete, verified file in as a blob of the repository."""
        content = self._content(digest)
        content.parent.mkdir(parents=True, exist_ok=True)
        source.replace(content)
        self._write(self._link(name, "_blobs", digest), b"")

    def mount_blob(self, name: str, digest: str, source: str) -> bool:
        """Give the repository a blob that another one has; False if that one has not."""
        if self.blob(source, digest) is None:
            return False
        self._write(self._link(name, "_blobs", digest), b"")
        return True

    def unlink_blob(self, name: str, digest: str) -> bool:
        """Take a blob from the repository; False if it had none."""
        return _remove(self._link(name, "_blobs", digest))

    # ── manifests and tags ────────────────────────────────────────────────────────────────────────────────────────

    def digest_of_tag(self, name: str, tag: str) -> str | None:
        """Return what a tag points at, or None."""
        return _text(self._repositories / name / "_tags" / tag)

    def manifest(self, name: str, digest: str) -> StoredManifest | None:
        """Return a manifest that the repository has, or None."""
        media_type = _text(self._link(name, "_manifests", digest))
        if media_type is None:
            return None
        return StoredManifest(digest, media_type, self._content(digest).read_bytes())

    def put_manifest(self, name: str, manifest: StoredManifest) -> None:
        """Store a manifest in the repository, without a tag."""
        self._write(self._content(manifest.digest), manifest.body)
        link = self._link(name, "_manifests", manifest.digest)
        if _text(link) != manifest.media_type:
            # A second push of the same leaves the link: its time is that of the first.
            self._write(link, manifest.media_type.encode())

    def put_tag(self, name: str, tag: str, digest: str) -> None:
        """Point a tag at a manifest."""
        self._write(self._repositories / name / "_tags" / tag, digest.encode())

    def delete_tag(self, name: str, tag: str) -> bool:
        """Remove a tag and leave its manifest; False if there was none."""
        return _remove(self._repositories / name / "_tags" / tag)

    def delete_manifest(self, name: str, digest: str) -> bool:
        """Remove a manifest with the tags that point at it; False if there was none."""
        for tag in list(self.tags(name)):
            if self.digest_of_tag(name, tag) == digest:
                self.delete_tag(name, tag)
        return _remove(self._link(name, "_manifests", digest))

    def tags(self, name: str) -> Iterator[str]:
        """Yield the tags of the repository, in no order."""
        folder = self._repositories / name / "_tags"
        if folder.is_dir():
            yield from (entry.name for entry in os.scandir(folder))

    # ── referrers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def put_referrer(self, name: str, subject: str, descriptor: Mapping[str, Any]) -> None:
        """Remember that the described manifest names the subject."""
        path = self._referrers(name, subject) / _hex(descriptor["digest"])
        self._write(path, json.dumps(descriptor, sort_keys=True).encode())

    def delete_referrer(self, name: str, subject: str, digest: str) -> None:
        """Forget a referrer; gone already is fine."""
        _remove(self._referrers(name, subject) / _hex(digest))

    def referrers(self, name: str, subject: str) -> list[dict[str, Any]]:
        """Return the descriptors of all manifests that name the subject, by digest."""
        folder = self._referrers(name, subject)
        if not folder.is_dir():
            return []
        return [json.loads(path.read_bytes()) for path in sorted(folder.iterdir())]

    # ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _content(self, digest: str) -> Path:
        return self._blobs / _hex(digest)[:2] / _hex(digest)

    def _link(self, name: str, kind: str, digest: str) -> Path:
        return self._repositories / name / kind / _hex(digest)

    def _referrers(self, name: str, subject: str) -> Path:
        return self._repositories / name / "_referrers" / _hex(subject)

    def _write(self, path: Path, body: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        incoming = self._incoming / uuid.uuid4().hex
        incoming.write_bytes(body)
        incoming.replace(path)


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
