"""What the files of a registry hold, read from outside while it runs; see `storage` for where they are.

Nothing is locked: what is deleted while it is read is left out. Times are those of the files: a manifest's is its first
push into the repository, a tag's when it was last moved.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HEX = re.compile("[0-9a-f]{64}")
# Bytes: what the registry takes as a manifest; a larger blob is no configuration that anybody wrote.
_LARGEST = 4 << 20


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A manifest in a repository, with the tags that point at it; times are Unix seconds."""

    repository: str
    digest: str
    media_type: str
    pushed: float
    tags: tuple[str, ...]
    changed: float
    """When it was pushed, or a tag of it last moved, whichever is later."""


class Catalogue:
    """Reads the registry below one folder, which need not be there yet."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs" / "sha256"
        self._repositories = root / "repositories"

    def repositories(self, below: str = "") -> Iterator[str]:
        """Yield the repositories that hold a manifest, those *below* a path only, in no order."""
        for folder, folders, _ in os.walk(self._repositories / below):
            if "_manifests" in folders and any((Path(folder) / "_manifests").iterdir()):
                yield str(Path(folder).relative_to(self._repositories))
            folders[:] = [name for name in folders if not name.startswith("_")]

    def digests(self, repository: str) -> list[str]:
        """Return the digests of the manifests of a repository, sorted."""
        folder = self._repositories / repository / "_manifests"
        return sorted(f"sha256:{entry.name}" for entry in os.scandir(folder)) if folder.is_dir() else []

    def tags(self, repository: str) -> dict[str, tuple[str, float]]:
        """Return what each tag of a repository points at, and since when."""
        folder = self._repositories / repository / "_tags"
        found = {}
        for entry in os.scandir(folder) if folder.is_dir() else ():
            try:
                found[entry.name] = (Path(entry.path).read_text(), entry.stat().st_mtime)
            except FileNotFoundError:
                continue
        return found

    def image(self, repository: str, digest: str, tags: dict[str, tuple[str, float]]) -> StoredImage | None:
        """Return a manifest with those of the repository's *tags* that are its own; None when it is not there."""
        link = self._repositories / repository / "_manifests" / digest.removeprefix("sha256:")
        try:
            media_type, pushed = link.read_text(), link.stat().st_mtime
        except FileNotFoundError:
            return None
        own = sorted(tag for tag, (target, _) in tags.items() if target == digest)
        changed = max([pushed, *(tags[tag][1] for tag in own)])
        return StoredImage(repository, digest, media_type, pushed, tuple(own), changed)

    def json(self, digest: str) -> dict[str, Any]:
        """Return a manifest or an image configuration, empty when it is not there or no JSON object.

        The digest may come from a manifest that somebody pushed, so it may be anything.
        """
        name = digest.removeprefix("sha256:")
        path = self._blobs / name[:2] / name
        try:
            if _HEX.fullmatch(name) is None or path.stat().st_size > _LARGEST:
                return {}
            content = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}
