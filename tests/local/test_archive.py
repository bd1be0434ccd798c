"""The archive of a folder holds what it says, and nothing that leads elsewhere is believed."""

import gzip
import hashlib
import io
import json
import stat
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from workers.local.archive import ArchiveError, unpack, write
from workers.local.version import VERSION

FILES = {"token": b"a secret", "nats/store/1.blk": b"x" * 70_000, "google/google.sqlite3": b""}
MADE_ANEW = ("lock", "endpoints.json", ".version", "logs/workers.log", "nats/nats-server.conf", "nats/ports/a.ports")


def folder(root: Path) -> Path:
    """Make a folder with files, and with what every start makes anew."""
    for path in (*FILES, *MADE_ANEW):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(FILES.get(path, b"made anew"))
    (root / "nats/store/empty").mkdir()
    (root / "version").write_text(f"{VERSION}\n")
    return root


def archived(root: Path) -> bytes:
    """Return its archive."""
    target = io.BytesIO()
    write(root, target, release="1.2.3")
    return target.getvalue()


def manifest(files: dict[str, bytes], **changes: Any) -> dict[str, Any]:
    """Return what an archive of these files says first."""
    entries = {path: {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()} for path, body in files.items()}
    said = {"form": 1, "folder": VERSION, "release": "1", "made_at": "2026-11-22T04:48:28Z", "folders": []}
    return said | {"files": entries} | changes


def forged(said: object, members: Sequence[tuple[tarfile.TarInfo, bytes]], *, first: str = "manifest.json") -> bytes:
    """Return an archive made by hand."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        body = json.dumps(said).encode()
        for header, content in [(named(first), body), *members]:
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return target.getvalue()


def named(path: str, **more: Any) -> tarfile.TarInfo:
    """Return the header of a member."""
    header = tarfile.TarInfo(path)
    for name, value in more.items():
        setattr(header, name, value)
    return header


def test_what_was_archived_comes_back(tmp_path: Path) -> None:
    """Files and empty folders are as they were, for their owner alone; what is made anew stays out."""
    source, target = folder(tmp_path / "source"), tmp_path / "target"
    target.mkdir()
    said = unpack(io.BytesIO(archived(source)), target)

    found = {path.relative_to(target).as_posix(): path for path in target.rglob("*")}
    files = {name: path.read_bytes() for name, path in found.items() if path.is_file()}
    assert files == FILES | {"version": f"{VERSION}\n".encode()}
    assert found["nats/store/empty"].is_dir()
    assert {stat.S_IMODE(path.stat().st_mode) for path in found.values()} == {0o600, 0o700}
    assert not any(path.stat().st_mode & 0o077 for path in found.values())
    assert (said.release, said.folder, said.size) == ("1.2.3", VERSION, 70_010)


def test_verifying_writes_nothing(tmp_path: Path) -> None:
    """An archive can be read whole without a place to put it."""
    body = archived(folder(tmp_path))
    before = sorted(tmp_path.rglob("*"))

    assert len(unpack(io.BytesIO(body), None).files) == 4
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_half_an_archive_is_none(tmp_path: Path, share: float) -> None:
    """Wherever it ends too early, it is refused."""
    body = archived(folder(tmp_path))
    with pytest.raises(ArchiveError, match="it is damaged"):
        unpack(io.BytesIO(body[: int(len(body) * share)]), None)


def test_any_changed_byte_is_found(tmp_path: Path) -> None:
    """In the manifest, in a file, in a header or in the checksum: no changed archive passes for another one."""
    tar = gzip.decompress(archived(folder(tmp_path)))
    whole = unpack(io.BytesIO(gzip.compress(tar)), None)
    used = tar.rstrip(b"\0")
    for place in range(0, len(used), 977):
        changed = bytearray(tar)
        changed[place] ^= 1
        try:
            found = unpack(io.BytesIO(gzip.compress(bytes(changed))), None)
        except ArchiveError:
            continue
        assert found.files == whole.files, f"byte {place} changed"
    packed = bytearray(gzip.compress(tar))
    packed[-6] ^= 1
    with pytest.raises(ArchiveError, match="CRC"):
        unpack(io.BytesIO(bytes(packed)), None)


DATA = {"a": b"hello"}
HELLO = (named("data/a"), b"hello")
FORGERIES: dict[str, tuple[Callable[[], bytes], str]] = {
    "no manifest": (lambda: forged({}, [], first="data/a"), "does not begin with a manifest"),
    "not JSON": (lambda: forged("x", []), "its manifest is not valid"),
    "newer form": (lambda: forged({"form": 2, "folder": 0, "what": "else"}, []), "a newer release made it"),
    "newer folder": (lambda: forged(manifest(DATA, folder=VERSION + 1), [HELLO]), "a newer release made it"),
    "path upwards": (lambda: forged(manifest({"../a": b"x"}), [(named("data/../a"), b"x")]), "leads elsewhere"),
    "absolute path": (lambda: forged(manifest({"/a": b"x"}), [(named("data//a"), b"x")]), "leads elsewhere"),
    "the lock": (lambda: forged(manifest({"lock": b"x"}), [(named("data/lock"), b"x")]), "leads elsewhere"),
    "outside of data": (lambda: forged(manifest(DATA), [HELLO, (named("etc/passwd"), b"x")]), "leads elsewhere"),
    "not announced": (lambda: forged(manifest(DATA), [HELLO, (named("data/b"), b"x")]), "not what its manifest"),
    "twice": (lambda: forged(manifest(DATA), [HELLO, HELLO]), "not what its manifest"),
    "missing": (lambda: forged(manifest(DATA), []), "it lacks 1 of 1 files, 'a'"),
    "longer": (lambda: forged(manifest(DATA), [(named("data/a"), b"hello!")]), "not what its manifest"),
    "other content": (lambda: forged(manifest(DATA), [(named("data/a"), b"hullo")]), "its file 'a' is damaged"),
    "a folder and a file": (
        lambda: forged(manifest({"a": b"", "a/b": b""}), [(named("data/a"), b""), (named("data/a/b"), b"")]),
        "it is damaged",
    ),
}


KINDS = {
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE,
    "pipe": tarfile.FIFOTYPE,
    "sparse file": tarfile.GNUTYPE_SPARSE,
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_neither_file_nor_folder_is_refused(tmp_path: Path, kind: str) -> None:
    """Links, devices, pipes and files with holes are in no archive of ours."""
    member = named("data/a", type=KINDS[kind], linkname="/etc/passwd")
    with pytest.raises(ArchiveError, match="not what its manifest announces"):
        unpack(io.BytesIO(forged(manifest({"a": b""}), [(member, b"")])), tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgery_is_refused(tmp_path: Path, forgery: str) -> None:
    """Nothing is written outside of the target, and the sentence says what was found."""
    make, sentence = FORGERIES[forgery]
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(ArchiveError, match=sentence):
        unpack(io.BytesIO(make()), target)

    assert [path for path in tmp_path.rglob("*") if not path.is_relative_to(target)] == []
    assert not any(path.is_symlink() for path in target.rglob("*"))


def test_more_than_the_disk_holds_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """The sizes that an archive announces are compared with the space there is."""
    said = manifest(DATA)
    said["files"]["a"]["size"] = 1 << 60
    with pytest.raises(ArchiveError, match="it needs 1,152,921,504,606,846,976 bytes, and the disk"):
        unpack(io.BytesIO(forged(said, [])), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_link_in_the_folder_is_named(tmp_path: Path) -> None:
    """What a link leads to would be missing from the archive, so none is made."""
    folder(tmp_path)
    (tmp_path / "registry").symlink_to("/somewhere/else")
    with pytest.raises(ArchiveError, match="registry is neither a file nor a folder"):
        archived(tmp_path)
