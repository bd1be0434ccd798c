"""Back-up, restore and reset of a data folder whose world stands still.

The lock of the folder is held meanwhile, so that no world begins. A running one is refused: its streams, its database
and its registry change one after the other, and only together do they make sense.
"""

import asyncio
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from workers.local import archive
from workers.local.archive import ArchiveError, Manifest
from workers.local.folder import FolderError, WorldFolder
from workers.local.replacement import beside, exchange, leftovers, put
from workers.local.version import require_world, version_of

PORTS = ("ports.json",)
IDENTITIES = ("identities", "token")
_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Part:
    """One entry of a folder: how many files, and bytes, it holds."""

    name: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a folder is. `holder` is the process id of the world that runs there."""

    root: Path
    version: int
    holder: int | None
    parts: tuple[Part, ...]
    leftovers: tuple[Path, ...]
    """What killed processes left beside it."""


def inspect(root: Path) -> Inspection:
    """Look at a folder, whether its world runs or not. Raises FolderError where there is none."""
    _require_world(root)
    entries = sorted(path for path in root.iterdir() if path.name not in {_LOCK, "version"})
    parts = tuple(_part(path) for path in entries)
    return Inspection(root, version_of(root), WorldFolder(root).holder(), parts, tuple(leftovers(root.resolve())))


def back_up(root: Path, target: BinaryIO, *, release: str) -> Manifest:
    """Write an archive of the folder. Raises FolderError and ArchiveError."""
    _require_world(root)
    with _standing_still(root):
        return archive.write(root, target, release=release)


def back_up_to(root: Path, file: Path, *, release: str) -> Manifest:
    """Write an archive, for its owner alone, that appears whole or not at all. Raises FolderError and ArchiveError."""
    if file.exists() or not file.parent.is_dir():
        raise ArchiveError(
            f"{file} is there already: name another file" if file.exists() else f"there is no folder {file.parent}"
        )
    if file.resolve().is_relative_to(root.resolve()):
        raise ArchiveError(f"{file} is inside the folder itself: name a file elsewhere")
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            manifest = back_up(root, opened, release=release)
            opened.flush()
            os.fsync(opened.fileno())
        draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def verify(source: BinaryIO) -> Manifest:
    """Read a whole archive and change nothing. Raises ArchiveError."""
    return archive.unpack(source, None)


def restore(source: BinaryIO, root: Path, *, replace: bool = False) -> Manifest:
    """Verify an archive, and put what it holds in the place of the folder at once.

    A folder that holds something is replaced only when `replace` says so. Raises FolderError and ArchiveError, and the
    folder is what it was.
    """
    root = root.resolve()
    if is_occupied(root) and not replace:
        raise FolderError(f"{root} holds a world already: say --replace if it may be lost, or name another folder")
    if not root.is_dir() or not any(root.iterdir()):
        with beside(root) as fresh:
            manifest = _unpack(source, fresh)
            put(fresh, root)
            return manifest
    require_world(root)
    with _standing_still(root), beside(root) as fresh:
        manifest = _unpack(source, fresh)
        exchange(fresh, root)
        return manifest


def reset(root: Path, *, keep: Iterable[str] = ()) -> None:
    """Remove what a folder holds, at once, but for the entries to keep. Raises FolderError."""
    _require_world(root)
    root = root.resolve()
    with _standing_still(root), beside(root) as fresh:
        (fresh / "version").write_text(f"{version_of(root)}\n")
        for name in keep:
            if (root / name).is_dir():
                shutil.copytree(root / name, fresh / name)
            elif (root / name).exists():
                shutil.copy2(root / name, fresh / name)
        exchange(fresh, root)


def is_occupied(root: Path) -> bool:
    """Whether there is something to lose. Raises FolderError when it is no folder."""
    if root.exists() and not root.is_dir():
        raise FolderError(f"{root} is no folder: name one")
    return root.is_dir() and any(path.name not in {_LOCK, "version"} for path in root.iterdir())


def _unpack(source: BinaryIO, fresh: Path) -> Manifest:
    manifest = archive.unpack(source, fresh)
    if version_of(fresh) != manifest.folder:
        raise ArchiveError("its manifest and its folder name different versions")
    os.sync()
    return manifest


@contextmanager
def _standing_still(root: Path) -> Iterator[None]:
    """Hold the lock of a folder. Raises FolderError while its world runs."""
    folder = WorldFolder(root)
    holder = folder.holder()
    if holder is not None:
        raise FolderError(f"the world in {root} is running (process {holder}): stop it first")
    asyncio.run(folder.lock())
    try:
        yield
    finally:
        folder.unlock()


def _require_world(root: Path) -> None:
    if not is_occupied(root):
        raise FolderError(f"there is no local world in {root}: `sealane up` makes one")
    require_world(root)


def _part(path: Path) -> Part:
    """Measure one entry; what vanishes meanwhile, in a running world, does not count."""
    count = size = 0
    for file in [path] if path.is_file() else path.rglob("*"):
        with suppress(FileNotFoundError):
            found = file.lstat()
            if stat.S_ISREG(found.st_mode):
                count, size = count + 1, size + found.st_size
    return Part(path.name, count, size)
