"""SigningKeys for references of either kind: each kind's adapter is made when the first such key is met."""

from collections.abc import Awaitable, Callable

from workers.key_references import is_kms_key
from workers.ports import PublicKey, SigningKeys

Build = Callable[[], Awaitable[SigningKeys]]


class RoutedSigningKeys:
    """Gives references of Cloud KMS to *kms* and all others to *local*."""

    def __init__(self, kms: Build, local: Build) -> None:
        self._builders = {True: kms, False: local}
        self._built: dict[bool, SigningKeys] = {}

    async def public_key(self, key: str) -> PublicKey:
        """Return the public half. Raises what the adapter in charge raises."""
        return await (await self._in_charge(key)).public_key(key)

    async def sign(self, key: str, payload: bytes, *, timeout: float) -> bytes:
        """Sign the payload. Raises what the adapter in charge raises."""
        return await (await self._in_charge(key)).sign(key, payload, timeout=timeout)

    async def _in_charge(self, key: str) -> SigningKeys:
        of_kms = is_kms_key(key)
        if of_kms not in self._built:
            built = await self._builders[of_kms]()
            self._built.setdefault(of_kms, built)
        return self._built[of_kms]
