"""A folder is backed up, restored and reset as a whole, whatever happens meanwhile."""

import asyncio
import ctypes
import errno
import hashlib
import io
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.local.archive import ArchiveError
from workers.local.backup import IDENTITIES, PORTS, back_up, back_up_to, inspect, reset, restore
from workers.local.folder import FolderError, WorldFolder
from workers.local.replacement import leftovers

DEADLINE = 60.0
RESTORING = """
import os, sys
from pathlib import Path
from workers.local import backup, replacement
{spoiled}
backup.restore(sys.stdin.buffer, Path(sys.argv[1]), replace=True)
"""


def world(root: Path, *, files: int = 3, size: int = 100) -> Path:
    """Make a folder like that of a world; what the files hold is named after the folder."""
    for name in ("ports.json", "token", "version", "identities/operator.seed", *(f"nats/{n}" for n in range(files))):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"1" if name == "version" else hashlib.shake_256(f"{root}{name}".encode()).digest(size))
        file.chmod(0o600)
    return root


def content(root: Path) -> dict[str, bytes]:
    """Return all that a folder holds, but for its lock."""
    files = (path for path in root.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def archived(root: Path) -> bytes:
    """Return the archive of a folder."""
    target = io.BytesIO()
    back_up(root, target, release="1")
    return target.getvalue()


def beside(root: Path) -> list[Path]:
    """Return what is hidden beside a folder."""
    return list(root.parent.glob(f".{root.name}.*"))


def test_archive_is_for_its_owner_alone_and_appears_whole(tmp_path: Path) -> None:
    """It holds secrets; while it is written, nobody finds it under its name."""
    old, file = world(tmp_path / "old"), tmp_path / "a.tar.gz"
    back_up_to(old, file, release="1")

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "old"]
    with file.open("rb") as source:
        restore(source, tmp_path / "deep" / "new")
    assert content(tmp_path / "deep" / "new") == content(old)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("a.tar.gz", "is there already"), ("old/a.tar.gz", "is inside the folder"), ("none/a", "there is no folder")],
)
def test_place_of_an_archive_is_checked(tmp_path: Path, name: str, sentence: str) -> None:
    """Nothing is overwritten, and no archive holds itself."""
    old = world(tmp_path / "old")
    (tmp_path / "a.tar.gz").write_text("precious")
    with pytest.raises(ArchiveError, match=sentence):
        back_up_to(old, tmp_path / name, release="1")

    assert (tmp_path / "a.tar.gz").read_text() == "precious"
    assert beside(tmp_path / "a.tar.gz") == []


def test_running_world_is_left_alone(tmp_path: Path) -> None:
    """Back-up, restore and reset say which process to stop, and change nothing."""
    old = world(tmp_path / "old")
    body, before = archived(world(tmp_path / "other")), content(old)
    folder = WorldFolder(old)
    asyncio.run(folder.lock())
    sentence = rf"old is running \(process {os.getpid()}\): stop it first"
    with pytest.raises(FolderError, match=sentence):
        back_up(old, io.BytesIO(), release="1")
    with pytest.raises(FolderError, match=sentence):
        restore(io.BytesIO(body), old, replace=True)
    with pytest.raises(FolderError, match=sentence):
        reset(old)

    assert inspect(old).holder == os.getpid()
    folder.unlock()
    assert content(old) == before


def test_folder_that_holds_something_is_replaced_only_when_told(tmp_path: Path) -> None:
    """Without the word nothing is touched; with it, nothing of the old one is left."""
    old, other = world(tmp_path / "old", files=9), world(tmp_path / "other")
    body, before = archived(other), content(old)
    with pytest.raises(FolderError, match="holds a world already: say --replace"):
        restore(io.BytesIO(body), old)
    assert content(old) == before

    restore(io.BytesIO(body), old, replace=True)
    assert content(old) == content(other)
    assert beside(old) == []


def test_bad_archive_changes_nothing(tmp_path: Path) -> None:
    """It is verified to its last byte before the folder is exchanged."""
    old, other = world(tmp_path / "old"), world(tmp_path / "other")
    body, before = archived(other), content(old)
    for bad in (body[:-1], b"", body[: len(body) // 2]):
        with pytest.raises(ArchiveError):
            restore(io.BytesIO(bad), old, replace=True)

    assert content(old) == before
    assert beside(old) == []


def test_link_to_the_folder_stays(tmp_path: Path) -> None:
    """Where the folder is a symbolic link, what it leads to is replaced."""
    old, other, link = world(tmp_path / "old"), world(tmp_path / "other"), tmp_path / "link"
    link.symlink_to(old)
    restore(io.BytesIO(archived(other)), link, replace=True)

    assert link.readlink() == old
    assert content(old) == content(other)


def test_reset_keeps_what_is_asked_for(tmp_path: Path) -> None:
    """Ports and identities stay with their content and their modes, all else goes."""
    old = world(tmp_path / "old")
    before = content(old)
    reset(old, keep=PORTS + IDENTITIES)

    kept = {"ports.json", "token", "identities/operator.seed", "version"}
    assert {name: body for name, body in content(old).items() if name != "version"} == {
        name: before[name] for name in kept - {"version"}
    }
    assert stat.S_IMODE((old / "identities/operator.seed").stat().st_mode) == 0o600
    reset(old)
    assert set(content(old)) == {"version"}
    assert beside(old) == []
    with pytest.raises(FolderError, match="there is no local world"):
        reset(old)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EBUSY, "old is a mount point, which cannot be replaced at once: use a folder inside it"),
        (errno.EINVAL, r"old cannot be replaced at once \(Invalid argument\): move what it holds away first"),
        (None, "old cannot be replaced at once .*: move what it holds away first"),
    ],
)
def test_system_that_cannot_exchange_folders_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None, sentence: str
) -> None:
    """Mount points, some file systems and other systems than Linux: nothing is changed, and the way out is said."""

    class Refusing:
        """A C library that cannot."""

        def __init__(self, *_: object, **__: object) -> None:
            if number is not None:
                self.renameat2 = lambda *_: ctypes.set_errno(number) or -1

    old = world(tmp_path / "old")
    before = content(old)
    monkeypatch.setattr(ctypes, "CDLL", Refusing)
    with pytest.raises(FolderError, match=sentence):
        reset(old)

    assert content(old) == before
    assert beside(old) == []


async def test_whoever_waited_for_the_lock_gets_that_of_the_new_folder(tmp_path: Path) -> None:
    """A world that begins while the folder is replaced locks what is there afterwards, not what was removed."""
    old = world(tmp_path / "old")
    lock = os.open(old / "lock", os.O_RDWR | os.O_CREAT)
    (old / "lock").rename(tmp_path / "moved")
    folder = WorldFolder(old)
    await folder.lock()

    assert WorldFolder(old).holder() == os.getpid()
    folder.unlock()
    os.close(lock)


def test_killed_at_any_time_it_is_the_old_folder_or_the_new_one(tmp_path: Path) -> None:
    """After each kill -9 the folder is one of the two, whole; what is left beside it goes with the next restore."""
    one, two, root = world(tmp_path / "one", files=300), world(tmp_path / "two", files=300), tmp_path / "root"
    worlds, bodies = (content(one), content(two)), (archived(one), archived(two))
    restore(io.BytesIO(bodies[0]), root)
    for attempt in range(12):
        with _restoring(root) as process:
            assert process.stdin
            process.stdin.write(bodies[(attempt + 1) % 2])
            process.stdin.close()
            _wait(lambda: bool(beside(root)), "it begins", process)
            try:
                process.wait(attempt * 0.02)
            except subprocess.TimeoutExpired:
                process.kill()
        assert content(root) in worlds

    restore(io.BytesIO(bodies[0]), root, replace=True)
    assert content(root) == worlds[0]
    assert beside(root) == []


@pytest.mark.parametrize(
    ("spoiled", "which"),
    [
        ("backup.exchange = lambda *_: os.kill(os.getpid(), 9)", "old"),
        ("replacement.shutil.rmtree = lambda *_, **__: os.kill(os.getpid(), 9)", "new"),
    ],
)
def test_killed_around_the_exchange_it_is_whole(tmp_path: Path, spoiled: str, which: str) -> None:
    """Right before, it is the old folder, right after, the new one; the other one is found and removed."""
    old, new = world(tmp_path / "old"), world(tmp_path / "new")
    expected = content(old if which == "old" else new)
    body = archived(new)
    with _restoring(old, spoiled) as process:
        process.communicate(body, timeout=DEADLINE)

    assert process.returncode == -signal.SIGKILL
    assert content(old) == expected
    assert len(inspect(old).leftovers) == 1
    restore(io.BytesIO(body), old, replace=True)
    assert inspect(old).leftovers == ()


def test_what_was_killed_while_it_removed_or_began_is_swept_away(tmp_path: Path) -> None:
    """Neither a folder of which half is gone stays, nor one in which nothing is yet, not even its lock."""
    root = world(tmp_path / "root")
    (tmp_path / ".root.begun.next").mkdir()
    restore(io.BytesIO(archived(root)), root, replace=True)
    assert beside(root) == []
    spoiled = (
        "remove = replacement.shutil.rmtree\n"
        "replacement.shutil.rmtree = lambda path: (remove(path), os.kill(os.getpid(), 9))"
    )
    with _restoring(root, spoiled) as process:
        process.communicate(archived(root), timeout=DEADLINE)

    assert process.returncode == -signal.SIGKILL
    assert len(beside(root)) == 1
    restore(io.BytesIO(archived(root)), root, replace=True)
    assert beside(root) == []


def test_restore_that_is_at_work_is_not_swept_away(tmp_path: Path) -> None:
    """What somebody gathers beside the folder is no leftover while that process lives."""
    old, new = world(tmp_path / "old"), world(tmp_path / "new")
    body = archived(new)
    with _restoring(tmp_path / "fresh") as process:
        assert process.stdin
        process.stdin.write(body[: len(body) // 2])
        process.stdin.flush()
        _wait(lambda: _is_at_work(tmp_path / "fresh"), "it begins", process)
        restore(io.BytesIO(archived(old)), tmp_path / "fresh")
        _, errors = process.communicate(body[len(body) // 2 :], timeout=DEADLINE)

    assert process.returncode == 1
    assert b"somebody began to use" in errors
    assert content(tmp_path / "fresh") == content(old)


def _is_at_work(root: Path) -> bool:
    locks = [path / "lock" for path in beside(root)]
    return any(lock.exists() for lock in locks) and not list(leftovers(root))


def _restoring(root: Path, spoiled: str = "") -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", RESTORING.format(spoiled=spoiled), str(root)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _wait(look: Callable[[], bool], what: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + DEADLINE
    while not look() and process.poll() is None:
        assert time.monotonic() < end, what


def test_folder_of_somebody_else_is_never_removed(tmp_path: Path) -> None:
    """Not by a reset, not by a restore in its place; nor is it backed up as if it were a world."""
    archive = archived(world(tmp_path / "world"))
    mine = tmp_path / "mine"
    (mine / "photos").mkdir(parents=True)
    (mine / "photos" / "a.jpg").write_bytes(b"a")
    for attempt in (
        lambda: inspect(mine),
        lambda: reset(mine),
        lambda: back_up(mine, io.BytesIO(), release="1"),
        lambda: restore(io.BytesIO(archive), mine, replace=True),
    ):
        with pytest.raises(FolderError, match="holds files of somebody else, not a local world"):
            attempt()

    assert content(mine) == {"photos/a.jpg": b"a"}
    assert beside(mine) == []
