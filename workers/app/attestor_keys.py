"""Reads the public halves of the keys that somebody wants an attestor to list, wherever they are."""

import asyncio
from pathlib import Path

from workers.adapters.keys.folder import KeyFolder
from workers.adapters.keys.public import is_public, read_public_key
from workers.app.keys import FOLDER, reference_of
from workers.attestors.planning import KnownKey
from workers.attestors.wanted import WantedKey
from workers.failures import Invalid
from workers.key_references import LocalKey, is_kms_key
from workers.ports import SigningKeys

_LARGEST = 1 << 20
"""Bytes of a file that may be a public key."""


async def known_key(wanted: WantedKey, keys: SigningKeys, folder: Path, where: str) -> KnownKey:
    """Return the key with its public half; paths begin in *folder*, *where* is what sentences call it.

    Raises Invalid, NotFound, Denied and Unavailable.
    """
    if wanted.pem is not None:
        return _listed(wanted, wanted.pem, f"the key in {where}", wanted.algorithm)
    path, reference = _place(wanted.key or "", folder)
    algorithm = wanted.algorithm
    if path is not None:
        text = await asyncio.to_thread(_public_text, path)
        if text is not None:
            return _listed(wanted, text, f"{path}", algorithm or LocalKey.parse(reference).algorithm)
        reference = reference_of(reference, KeyFolder(FOLDER), algorithm=algorithm)
    elif algorithm is not None and is_kms_key(reference):
        raise Invalid(f"the key {reference} brings its own algorithm: leave `algorithm` out")
    public = await keys.public_key(reference)
    return KnownKey(public, wanted.id, comment=wanted.comment)


def _listed(wanted: WantedKey, text: str, place: str, algorithm: str | None) -> KnownKey:
    public = read_public_key(text, place, algorithm)
    return KnownKey(public, wanted.id, is_chosen=algorithm is not None, comment=wanted.comment)


def _place(key: str, folder: Path) -> tuple[Path | None, str]:
    """Return the file that a key is in, if it is in one, and its reference. Raises Invalid and NotFound."""
    written, mark, query = key.partition("?")
    relative = folder / Path(written).expanduser()
    if "://" not in key and not key.startswith("projects/") and ("/" in key or relative.exists()):
        key = f"{LocalKey(f'file://{relative.absolute()}')}{mark}{query}"
    reference = reference_of(key, KeyFolder(FOLDER))
    if is_kms_key(reference):
        return None, reference
    secret = LocalKey.parse(reference).secret
    return (Path(secret.removeprefix("file://")) if secret.startswith("file://") else None), reference


def _public_text(path: Path) -> str | None:
    """Return what a file holds if that is about public keys alone, which anybody may read."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None
    return text if is_public(text) else None
