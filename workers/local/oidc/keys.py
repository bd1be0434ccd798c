"""The keys of one issuer: RSA, on disk, the newest signs, all of them are published until they are withdrawn."""

import json
import os
import secrets
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ALGORITHM = "RS256"
_BITS = 2048


class IssuerKeys:
    """Keys in a folder, one PEM file (0600) each: `0001-<random>.pem`. The name without its ending is the key id.

    They are read, and the first one is made, on first use: to make an RSA key takes longer than to start an issuer.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @cached_property
    def _keys(self) -> dict[str, rsa.RSAPrivateKey]:
        found = {file.stem: _read(file) for file in sorted(self._folder.glob("*.pem"))}
        return found or dict([self._made(1)])

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the published keys, oldest first: the last one signs."""
        return tuple(self._keys)

    def rotate(self) -> str:
        """Make a key which signs from now on, and return its id. What the older ones signed stays good."""
        key_id, key = self._made(int(self.key_ids[-1].partition("-")[0]) + 1)
        self._keys[key_id] = key
        return key_id

    def _made(self, number: int) -> tuple[str, rsa.RSAPrivateKey]:
        """Make a key and its file."""
        key_id = f"{number:04d}-{secrets.token_hex(4)}"
        key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, form, plain)
        descriptor = os.open(self._folder / f"{key_id}.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(pem)
        return key_id, key

    def withdraw(self, key_id: str) -> None:
        """Publish a key no longer. Raises KeyError where there is none, ValueError for the one that signs."""
        if key_id == self.key_ids[-1]:
            raise ValueError(f"the key {key_id} signs: rotate first")
        del self._keys[key_id]
        (self._folder / f"{key_id}.pem").unlink()

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a token with these claims, signed by the newest key."""
        import jwt  # noqa: PLC0415 - many a world never signs a token

        key_id = self.key_ids[-1]
        return jwt.encode(dict(claims), self._keys[key_id], algorithm=ALGORITHM, headers={"kid": key_id})

    def key_set(self) -> dict[str, Any]:
        """Return the key set (JWKS, RFC 7517) of the public keys."""
        return {"keys": [_public(key_id, key) for key_id, key in self._keys.items()]}


def _public(key_id: str, key: rsa.RSAPrivateKey) -> dict[str, Any]:
    from jwt.algorithms import RSAAlgorithm  # noqa: PLC0415 - as above

    described: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    return described | {"kid": key_id, "use": "sig", "alg": ALGORITHM}


def _read(file: Path) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{file} holds no RSA key: delete it")
    return key
