"""The archive of a data folder: a gzipped tar that says first what it holds, and is believed only when it does.

    manifest.json   forms, time, and of every file its size and SHA-256
    data/…          the folders and files themselves

It holds the secrets of the world. What every start makes anew, and logs, stay out. Unpacked files are for their owner
alone, whatever the archive says; it may hold nothing but files and folders below its own `data/`, each announced.
"""

import hashlib
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from gzip import GzipFile
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from workers.local.version import VERSION, version_of

FORM = 1
_FIRST, _BELOW = "manifest.json", "data/"
_MADE_ANEW = (
    *("lock", "endpoints.json", "logs", ".version", ".ports.json.*", ".endpoints.json.*"),
    *("nats/ports", "nats/nats-server.*", "google/*.sqlite3-shm", "github/*.sqlite3-shm", "registry/incoming"),
)
_CHUNK, _LONGEST_MANIFEST, _PADDING = 1 << 20, 64 << 20, 1 << 20
_QUICKLY = 1
"""What is large, the layers of images, is compressed already."""


class ArchiveError(RuntimeError):
    """The archive is not to be trusted, or the folder cannot be archived; the sentence says why."""


def _below(path: str) -> str:
    if any(part in {"", ".", ".."} or "\0" in part for part in path.split("/")) or _is_made_anew(path):
        raise ValueError("a path of the archive leads elsewhere")
    return path


InsidePath = Annotated[str, AfterValidator(_below)]


class Entry(BaseModel):
    """One file: bytes and their SHA-256 in hex."""

    model_config = ConfigDict(frozen=True)

    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """What an archive holds."""

    model_config = ConfigDict(frozen=True)

    form: int
    """Version of the archive itself."""
    folder: int
    """Version of the data folder."""
    release: str
    """The release that made it."""
    made_at: AwareDatetime
    folders: tuple[InsidePath, ...]
    files: dict[InsidePath, Entry]

    @property
    def size(self) -> int:
        """All bytes of all files."""
        return sum(entry.size for entry in self.files.values())


class _Forms(BaseModel):
    """As much of a manifest as every release can read."""

    form: int
    folder: int


def write(root: Path, target: BinaryIO, *, release: str) -> Manifest:
    """Archive a folder that nobody changes. Raises ArchiveError when somebody does, or when it holds a link."""
    folders, files = _entries(root)
    manifest = Manifest(
        form=FORM,
        folder=version_of(root),
        release=release,
        made_at=datetime.now(UTC).replace(microsecond=0),
        folders=tuple(folders),
        files={path: _entry(root / path) for path in files},
    )
    body = manifest.model_dump_json(indent=1).encode()
    with (
        GzipFile(fileobj=target, mode="wb", filename="", compresslevel=_QUICKLY) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        archive.addfile(_header(_FIRST, len(body)), io.BytesIO(body))
        for path in folders:
            archive.addfile(_header(_BELOW + path, kind=tarfile.DIRTYPE, mode=0o700))
        for path, entry in manifest.files.items():
            with (root / path).open("rb") as file:
                reader = _Reader(file)
                try:
                    archive.addfile(_header(_BELOW + path, entry.size), reader)
                except OSError as error:
                    raise ArchiveError(f"{root / path} cannot be archived: {error}") from error
            if reader.sha256.hexdigest() != entry.sha256:
                raise ArchiveError(f"{root / path} changed while it was archived: stop what writes there, and repeat")
    return manifest


def unpack(source: BinaryIO, target: Path | None) -> Manifest:
    """Verify a whole archive and put what it holds into the empty folder `target`, if one is given.

    Raises ArchiveError, after which `target` may hold a part.
    """
    try:
        with GzipFile(fileobj=source) as packed, tarfile.open(fileobj=packed, mode="r|") as archive:
            manifest = _manifest(archive)
            if target is not None:
                _make_room(manifest, target)
            left = dict(manifest.files)
            while (member := archive.next()) is not None:
                _take(archive, member, manifest, left, target)
            if left:
                raise ArchiveError(f"it lacks {len(left)} of {len(manifest.files)} files, {min(left)!r} among them")
            _read_padding(packed)
    except (EOFError, zlib.error, tarfile.TarError, ValueError, FileExistsError, NotADirectoryError) as error:
        raise ArchiveError(f"it is damaged ({error})") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise ArchiveError(f"it is damaged ({error})") from error
    return manifest


def _entries(root: Path) -> tuple[list[str], list[str]]:
    """Return the folders and the files to archive, as paths below `root`."""
    folders: list[str] = []
    files: list[str] = []
    for entry in _walk(root, ""):
        path = os.path.relpath(entry.path, root)
        if entry.is_dir(follow_symlinks=False):
            folders.append(path)
        elif entry.is_file(follow_symlinks=False):
            files.append(path)
        else:
            raise ArchiveError(f"{entry.path} is neither a file nor a folder: put what it leads to in its place")
    return folders, files


def _walk(root: Path, below: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(root / below) as found:
        for entry in sorted(found, key=lambda entry: entry.name):
            path = f"{below}{entry.name}"
            if not _is_made_anew(path):
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(root, f"{path}/")


def _is_made_anew(path: str) -> bool:
    return any(fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}/*") for pattern in _MADE_ANEW)


def _entry(file: Path) -> Entry:
    with file.open("rb") as opened:
        return Entry(size=file.stat().st_size, sha256=hashlib.file_digest(opened, "sha256").hexdigest())


def _header(name: str, size: int = 0, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o600) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.type, header.mode = size, kind, mode
    return header


class _Reader(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self.sha256 = hashlib.sha256()
        self._file = file

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        found = self._file.read(size)
        self.sha256.update(found)
        return found


def _manifest(archive: tarfile.TarFile) -> Manifest:
    """Read what comes first."""
    member = archive.next()
    if member is None or member.name != _FIRST or not _is_plain(member) or member.size > _LONGEST_MANIFEST:
        raise ArchiveError("it is no back-up of a sealane folder: it does not begin with a manifest")
    opened = archive.extractfile(member)
    body = opened.read() if opened else b""
    try:
        forms = _Forms.model_validate_json(body)
        if forms.form > FORM or forms.folder > VERSION:
            raise ArchiveError("a newer release made it: restore it with that one")
        return Manifest.model_validate_json(body)
    except ValidationError as error:
        finding = error.errors(include_url=False, include_input=False)[0]
        raise ArchiveError(f"its manifest is not valid: {finding['msg'].removeprefix('Value error, ')}") from None


def _make_room(manifest: Manifest, target: Path) -> None:
    """Make the folders, if there is space for the files."""
    free = shutil.disk_usage(target).free
    if manifest.size > free:
        raise ArchiveError(f"it needs {manifest.size:,} bytes, and the disk of {target.parent} has {free:,}")
    for folder in manifest.folders:
        _make(target / folder)


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.type in {tarfile.REGTYPE, tarfile.AREGTYPE} and not member.issparse()


def _take(
    archive: tarfile.TarFile, member: tarfile.TarInfo, manifest: Manifest, left: dict[str, Entry], target: Path | None
) -> None:
    """Verify one member and write it; what was not announced is refused."""
    path = member.name.removeprefix(_BELOW)
    if not member.name.startswith(_BELOW):
        raise ArchiveError(f"it holds {member.name!r}, which leads elsewhere")
    if member.isdir() and path in manifest.folders:
        return
    entry = left.pop(path, None) if _is_plain(member) else None
    if entry is None or entry.size != member.size:
        raise ArchiveError(f"it holds {member.name!r}, which is not what its manifest announces")
    source = archive.extractfile(member)
    digest = hashlib.sha256()
    with _sink(target / path if target is not None else Path(os.devnull)) as sink:
        while source and (chunk := source.read(_CHUNK)):
            digest.update(chunk)
            sink.write(chunk)
    if digest.hexdigest() != entry.sha256:
        raise ArchiveError(f"its file {path!r} is damaged: its SHA-256 is not the announced one")


def _sink(file: Path) -> BinaryIO:
    if file == Path(os.devnull):
        return file.open("wb")
    _make(file.parent)
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb")


def _make(folder: Path) -> None:
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700)


def _read_padding(packed: GzipFile) -> None:
    """Read to the end, where the checksum is."""
    if len(packed.read(_PADDING)) == _PADDING:
        raise ArchiveError("something follows its end")
