"""One folder takes another's place at once: whoever looks sees the old one or the new one, even after kill -9.

What is to come is gathered in a folder beside it, `.NAME.*.next`, locked like a world's own. Left over from a
process that was killed, it is removed by the next one that replaces the same folder.
"""

import ctypes
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workers.local.folder import FolderError

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""From fcntl.h and linux/fs.h, see renameat2(2): Linux only."""
_LOCK = "lock"


@contextmanager
def beside(root: Path) -> Iterator[Path]:
    """Give an empty folder beside `root`, locked and for its owner alone; what it holds in the end is removed.

    Raises FolderError when none can be made there.
    """
    sweep(root)
    fresh = root.with_name(f".{root.name}.{secrets.token_hex(4)}.next")
    try:
        root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _made(fresh)
    except OSError as error:
        raise FolderError(f"{root.parent} must be writable, to replace {root} at once ({error.strerror})") from error
    try:
        yield fresh
    finally:
        with suppress(OSError):
            _remove(fresh)
        os.close(lock)


def _made(folder: Path) -> int:
    """Make a folder with a lock in it, and hold that."""
    while True:
        folder.mkdir(mode=0o700)
        # Whoever sweeps takes an empty folder for a leftover: then it is made once more.
        with suppress(FileNotFoundError):
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            return lock


def _remove(folder: Path) -> None:
    """Remove a folder, its lock last: killed in between, what is left is still known for a leftover."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()
    (folder / _LOCK).unlink(missing_ok=True)
    folder.rmdir()


def leftovers(root: Path) -> Iterator[Path]:
    """Yield the folders beside `root` that nobody works on any more."""
    for path in root.parent.glob(f".{root.name}.*.next"):
        try:
            lock = os.open(path / _LOCK, os.O_RDWR)
        except FileNotFoundError:
            if not any(path.iterdir()):
                yield path
            continue
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            yield path
        finally:
            os.close(lock)


def sweep(root: Path) -> None:
    """Remove what processes left beside `root` that were killed."""
    for path in leftovers(root):
        _remove(path)


def _explained(root: Path, number: int) -> FolderError:
    """Say why a folder cannot be exchanged, and what to do."""
    if number in {errno.EBUSY, errno.EXDEV}:
        return FolderError(f"{root} is a mount point, which cannot be replaced at once: use a folder inside it")
    if number in {errno.ENOTEMPTY, errno.EEXIST}:
        return FolderError(f"somebody began to use {root} meanwhile: stop that, and repeat")
    return FolderError(f"{root} cannot be replaced at once ({os.strerror(number)}): move what it holds away first")


def put(fresh: Path, root: Path) -> None:
    """Let `fresh` be `root`, where there is nothing, or an empty folder. Raises FolderError."""
    try:
        fresh.rename(root)
    except OSError as error:
        raise _explained(root, error.errno or 0) from error


def exchange(fresh: Path, root: Path) -> None:
    """Let `fresh` and `root` change places in one step. Raises FolderError where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = os.fsencode(fresh), os.fsencode(root)
    if rename is None:
        raise _explained(root, errno.ENOSYS)
    if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) != 0:
        raise _explained(root, ctypes.get_errno())
