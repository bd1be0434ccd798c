"""Reads secrets where a reference says they are. No error sentence ever holds a value.

env://NAME       an environment variable
file:///PATH     a file that others may neither read nor write; one line break at its end is dropped
"""

import asyncio
import os
import re
import shlex
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

from workers.failures import Denied, Invalid, NotFound
from workers.redaction import conceal

SecretReader = Callable[[str], Awaitable[str]]

_LIMIT = 64 << 10
"""Bytes of a secret file."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SEQUENCE = 0x30
_RESERVED = ("gcp-secret", "vault")


async def read_secret(reference: str) -> str:
    """Return the secret, which this process never writes from now on.

    Raises NotFound, Denied (file open to others) and Invalid (no such kind of reference).
    """
    secret = await _read(reference)
    conceal(secret)
    return secret


async def _read(reference: str) -> str:
    scheme, separator, rest = reference.partition("://")
    if not separator:
        raise Invalid("a secret is given by reference, env://NAME or file:///PATH, never by its value")
    if scheme == "env":
        return _from_environment(rest)
    if scheme == "file":
        return await asyncio.to_thread(_from_file, rest)
    if scheme in _RESERVED:
        raise Invalid(f"secrets from {scheme}:// cannot be read yet: use env://NAME or file:///PATH")
    raise Invalid("a secret is given by reference: write env://NAME or file:///PATH")


def _from_environment(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Invalid("after env:// comes the name of an environment variable, never the secret itself")
    value = os.environ.get(name)  # noqa: TID251 - a secret named by a setting, not a setting
    if not value:
        raise NotFound(f"the secret env://{name} is not there: set the environment variable {name}")
    return value


def _from_file(rest: str) -> str:
    path = Path(rest)
    if not path.is_absolute():
        raise Invalid("after file:// comes an absolute path, as in file:///run/secrets/password")
    try:
        # Asked before opening: to open a pipe would wait for whoever writes to it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise Invalid(f"the secret file {path} is not a regular file: name the file that holds the secret")
        with path.open("rb") as file:
            _require_private(os.fstat(file.fileno()), path)
            content = file.read(_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"the secret file {path} does not exist: put it there, or correct the path") from None
    except OSError as error:
        raise Denied(f"the secret file {path} cannot be read: {error.strerror}") from None
    return _text(content, path)


def _require_private(status: os.stat_result, path: Path) -> None:
    if status.st_mode & (stat.S_IROTH | stat.S_IWOTH):
        raise Denied(f"the secret file {path} is open to every user of the machine: run chmod o-rw {path}")


def _text(content: bytes, path: Path) -> str:
    if len(content) > _LIMIT:
        raise Invalid(f"the secret file {path} is larger than {_LIMIT >> 10} KiB: that is no secret")
    try:
        value = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Invalid(f"the secret file {path} is not UTF-8 text: {_remedy(content, path)}") from None
    if not value:
        raise NotFound(f"the secret file {path} is empty: write the secret into it, or name another file")
    return value


def _remedy(content: bytes, path: Path) -> str:
    if not _is_der(content):
        return "write it as text (base64 where it is bytes), or name another file"
    target = shlex.quote(str(path.with_suffix(".pem")))
    return f"if it is a DER key, make it PEM: openssl pkey -inform DER -in {shlex.quote(str(path))} -out {target}"


def _is_der(content: bytes) -> bool:
    """Whether all of it is one SEQUENCE, as every key in binary form is (X.690, 8.1.3)."""
    if len(content) < 2 or content[0] != _SEQUENCE:  # noqa: PLR2004 - a tag and a length
        return False
    width = content[1] & 0x7F if content[1] & 0x80 else 0
    length = int.from_bytes(content[2 : 2 + width]) if width else content[1]
    return len(content) == 2 + width + length
