"""The nkeys of the bus's identities: a seed each, in a file that only its owner may read.

Source: NATS nkeys (Ed25519). The server's configuration holds public keys only; nothing secret is sent when somebody
connects, a challenge is signed.
"""

import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

import nkeys

from workers.failures import Denied, Invalid, NotFound


def ensure_identities(data: Path, identities: Iterable[str]) -> dict[str, str]:
    """Create the seeds that are missing, and return the public key of each identity.

    Raises Denied when others may read a seed, Invalid when a file holds none.
    """
    folder = data / "identities"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = {}
    for identity in identities:
        file = seed_file(data, identity)
        if not file.exists():
            _create(file)
        found[identity] = public_key(read_seed(data, identity))
    return found


def seed_file(data: Path, identity: str) -> Path:
    """Return where an identity's seed is."""
    return data / "identities" / f"{identity}.seed"


def read_seed(data: Path, identity: str) -> str:
    """Return an identity's seed: a secret. Raises NotFound, Denied when others may read it."""
    file = seed_file(data, identity)
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        seed = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise NotFound(f"there is no identity {identity!r} in {file.parent}: start the world there once") from None
    except UnicodeDecodeError:
        raise Invalid(f"{file} holds no nkey seed: remove it, and it is made anew") from None
    if mode & 0o077:
        raise Denied(f"{file} may be read by others: `chmod 600` it, or remove it to get a new identity")
    return seed


def public_key(seed: str) -> str:
    """Return the public half (U…) of a user's seed. Raises Invalid."""
    try:
        return str(nkeys.from_seed(seed.encode()).public_key.decode())
    except (nkeys.NkeysError, ValueError):
        raise Invalid("this is no nkey seed: one begins with SU and has 58 characters") from None


def _create(file: Path) -> None:
    """Write a new seed so that nobody ever sees half of it, or a second one."""
    seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER)
    draft = file.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(seed)
    try:
        os.link(draft, file)
    except FileExistsError:
        return
    finally:
        draft.unlink()
