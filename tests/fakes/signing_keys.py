"""Signing keys in memory, with real cryptography."""

from typing import Any

from workers.adapters.keys.schemes import SCHEMES, pem_of
from workers.failures import Invalid, NotFound
from workers.ports import PublicKey


class FakeSigningKeys:
    """Holds one private key per name, of any PKIX algorithm."""

    def __init__(self) -> None:
        self.private: dict[str, tuple[str, Any]] = {}
        self.disabled: set[str] = set()
        self.signed: list[bytes] = []

    def add(self, name: str, algorithm: str = "ECDSA_P256_SHA256") -> PublicKey:
        """Make a key and return its public half."""
        self.private[name] = (algorithm, SCHEMES[algorithm].generate())
        return self._public(name)

    def _public(self, name: str) -> PublicKey:
        algorithm, key = self.private[name]
        return PublicKey(name, algorithm, pem_of(key.public_key()))

    def _usable(self, name: str) -> tuple[str, Any]:
        if name not in self.private:
            raise NotFound(f"there is no key {name}")
        if name in self.disabled:
            raise Invalid(f"key {name} is not enabled")
        return self.private[name]

    async def public_key(self, key: str) -> PublicKey:
        """Return the public half."""
        self._usable(key)
        return self._public(key)

    async def sign(self, key: str, payload: bytes, *, timeout: float) -> bytes:
        """Sign for real."""
        algorithm, private = self._usable(key)
        self.signed.append(payload)
        return SCHEMES[algorithm].sign(private, payload)
