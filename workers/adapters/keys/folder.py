"""A folder of private keys: one file a key, for its owner alone, never overwritten unawares."""

import os
import re
import secrets
import shlex
import stat
from contextlib import suppress
from pathlib import Path

from workers.failures import Denied, Invalid, NotFound
from workers.key_references import OPENPGP

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SUFFIXES = (".pem", ".asc")


class KeyFolder:
    """Keeps keys as NAME.pem or NAME.asc (OpenPGP). The folder is made, for its owner alone, with its first key."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()

    def path_of(self, name: str, algorithm: str, *, overwrite: bool = False) -> Path:
        """Return where a key of this name belongs.

        Raises Invalid when it is there already, or the name is none, and Denied for a folder that anybody may change.
        """
        if not _NAME.fullmatch(name):
            raise Invalid(
                f"{name[:100]!r} is no name of a key: begin with a letter or a digit, then letters, digits, `.`, `_`"
                " and `-`, at most 100 in all"
            )
        if self.root.exists() and not self.root.is_dir():
            raise Invalid(f"{self.root} is no folder: choose another --folder")
        if self.root.exists() and self.root.stat().st_mode & stat.S_IWOTH:
            raise Denied(
                f"every user of the machine may put keys in {self.root}, or take them away: run chmod o-w"
                f" {shlex.quote(str(self.root))}, or choose another --folder"
            )
        path = self.root / f"{name}{_SUFFIXES[algorithm == OPENPGP]}"
        if not overwrite:
            for suffix in _SUFFIXES:
                taken = self.root / f"{name}{suffix}"
                if os.path.lexists(taken):
                    raise Invalid(f"{taken} is there already: choose another --name, or replace it with --overwrite")
        return path

    def find(self, name: str) -> Path:
        """Return the file of a key. Raises NotFound."""
        for suffix in _SUFFIXES:
            path = self.root / f"{name}{suffix}"
            if _NAME.fullmatch(name) and path.exists():
                return path
        raise NotFound(
            f"there is no key {name!r} in {self.root}: make it with `sealane keys create --name NAME`, or write a path"
            " with a slash (./key.pem), env://NAME or a Cloud KMS key version"
        )

    def keep(self, path: Path, text: str, *, overwrite: bool = False) -> None:
        """Write a key where `path_of` says, whole or not at all, mode 0600. Raises Invalid and Denied."""
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(fresh, text.encode())
            try:
                if overwrite:
                    fresh.replace(path)
                else:
                    # Unlike a rename, a link never takes the place of what somebody else put there meanwhile.
                    os.link(fresh, path)
            finally:
                fresh.unlink(missing_ok=True)
        except FileExistsError:
            raise Invalid(f"{path} is there already: choose another --name, or replace it with --overwrite") from None
        except OSError as error:
            raise Denied(f"the key cannot be kept in {self.root}: {error.strerror}; choose another --folder") from None
        if overwrite:
            for suffix in _SUFFIXES:
                other = path.with_suffix(suffix)
                if other != path:
                    with suppress(FileNotFoundError):
                        other.unlink()


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # whatever the mask takes away, nothing is added and the owner can read it
        file.write(content)
        file.flush()
        os.fsync(descriptor)
