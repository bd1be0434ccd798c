"""SigningKeys whose private half a secret reference names: PEM or OpenPGP, the content decides.

The secret is read anew for each use, so that a key which is exchanged or taken away in its place is noticed at once;
it is parsed, and decrypted, only when it changed.
"""

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from workers.adapters.secrets import SecretReader, read_secret
from workers.failures import Invalid, Unavailable
from workers.key_references import LocalKey
from workers.ports import PublicKey

_ARMOR = re.compile(r"-----BEGIN PGP (?:PRIVATE|SECRET) KEY BLOCK-----")


class PrivateKey(Protocol):
    """A private key, ready to sign."""

    @property
    def public(self) -> PublicKey:
        """Its public half, with the algorithm that it signs with."""

    @property
    def expires_at(self) -> datetime | None:
        """When it can sign no more; None for never."""

    @property
    def is_slow(self) -> bool:
        """Whether signing belongs in a thread."""

    def sign(self, payload: bytes) -> bytes:
        """Return the signature."""


@dataclass(frozen=True, slots=True)
class _Read:
    text: str
    passphrase: str | None
    key: PrivateKey

    def is_current(self, text: str, passphrase: str | None) -> bool:
        """Whether the secrets are those that were read, and the key has not expired since."""
        expires = self.key.expires_at
        return (self.text, self.passphrase) == (text, passphrase) and (expires is None or datetime.now(UTC) < expires)


def read_private_key(text: str, place: str, passphrase: str | None, algorithm: str | None) -> PrivateKey:
    """Read what a secret holds; *place* is what sentences call it. Decryption blocks for a while. Raises Invalid."""
    if _ARMOR.search(text):
        from workers.adapters.keys.openpgp import read_openpgp_key  # noqa: PLC0415 - loaded for such keys alone

        return read_openpgp_key(text, place, passphrase, algorithm)
    from workers.adapters.keys.pem import read_pem_key  # noqa: PLC0415 - as above

    return read_pem_key(text, place, passphrase, algorithm)


class LocalSigningKeys:
    """Keys in files and environment variables, named by `file:///PATH` or `env://NAME` with options."""

    def __init__(self, *, secrets: SecretReader = read_secret) -> None:
        self._secrets = secrets
        self._read: dict[str, _Read] = {}
        self._reading = asyncio.Lock()

    async def public_key(self, key: str) -> PublicKey:
        """Return the public half. Raises NotFound, Denied and Invalid."""
        return (await self._key(key)).public

    async def sign(self, key: str, payload: bytes, *, timeout: float) -> bytes:
        """Sign the payload. Raises NotFound, Denied and Invalid; Unavailable when it takes longer than *timeout*."""
        try:
            async with asyncio.timeout(timeout):
                private = await self._key(key)
                if private.is_slow:
                    return await asyncio.to_thread(private.sign, payload)
                return private.sign(payload)
        except TimeoutError as error:
            raise Unavailable(
                f"the key in {LocalKey.parse(key).secret} did not sign within {timeout:g} s; trying again"
            ) from error

    async def _key(self, reference: str) -> PrivateKey:
        try:
            local = LocalKey.parse(reference)
        except ValueError as error:
            raise Invalid(str(error)) from None
        text = await self._secrets(local.secret)
        passphrase = await self._secrets(local.passphrase) if local.passphrase else None
        async with self._reading:
            known = self._read.get(reference)
            if known is None or not known.is_current(text, passphrase):
                # An exchanged key that cannot be read must not leave the old one behind.
                self._read.pop(reference, None)
                place = f"the key in {local.secret}"
                key = await asyncio.to_thread(read_private_key, text, place, passphrase, local.algorithm)
                known = self._read[reference] = _Read(text, passphrase, key)
        return known.key
