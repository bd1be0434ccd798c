"""The webhook's secrets: several at once, read again while the door is open.

A secret takes another's place so: name both, wait until they are read (half a minute), change it at GitHub, take the
old one away. No delivery is refused meanwhile, and one that was withdrawn is good for half a minute at most.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Self

from workers.failures import NotFound, PermanentError, SealaneError, Unavailable

log = logging.getLogger(__name__)
AGE = timedelta(seconds=30)
"""How old what was read may be, and how often a signature that fits none is a reason to read again."""
RETRY = timedelta(seconds=1)
"""How soon they are read again while none is known."""
PATIENCE = 2.0
"""Seconds that one reading may take."""
ReadSecret = Callable[[str], Awaitable[str]]


class Keyring:
    """The secrets behind some references. `clock` is monotonic, in seconds."""

    def __init__(
        self, references: Sequence[str], read_secret: ReadSecret, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._references = tuple(references)
        self._read_secret = read_secret
        self._clock = clock
        self._known: dict[str, bytes] = {}
        self._told: set[str] = set()
        self._read_at = self._doubted_at = float("-inf")
        self._reading = asyncio.Lock()

    @classmethod
    def empty(cls) -> Self:
        """Return one without any secret: nobody can sign anything."""

        async def unread(reference: str) -> str:
            raise NotFound(f"there is no secret {reference}")

        return cls((), unread)

    def __bool__(self) -> bool:
        """Whether a secret is named at all."""
        return bool(self._references)

    async def secrets(self) -> tuple[bytes, ...]:
        """Return the secrets that are good now. Raises Unavailable when none can be read."""
        if self._due():
            async with self._reading:
                if self._due():
                    await self._read()
        return self._good()

    async def read_again(self) -> tuple[bytes, ...]:
        """Return the secrets once more: a signature fitted none, perhaps because they were just changed.

        Reads at most once in AGE for that reason: anybody may send a wrong signature.
        """
        async with self._reading:
            if self._clock() - self._doubted_at >= AGE.total_seconds():
                self._doubted_at = self._clock()
                await self._read()
        return self._good()

    def _due(self) -> bool:
        age = AGE if self._known else RETRY
        return self._clock() - self._read_at >= age.total_seconds()

    def _good(self) -> tuple[bytes, ...]:
        if not self._known:
            raise Unavailable("no secret of the webhook can be read: see the log of the door")
        return tuple(self._known.values())

    async def _read(self) -> None:
        found = await asyncio.gather(*(self._one(reference) for reference in self._references))
        self._known = {name: secret for name, secret in zip(self._references, found, strict=True) if secret}
        self._read_at = self._clock()

    async def _one(self, reference: str) -> bytes | None:
        """Read one; what does not answer stays as it was, what is not there any more is gone."""
        try:
            async with asyncio.timeout(PATIENCE):
                secret = (await self._read_secret(reference)).encode()
        except PermanentError as error:
            if reference not in self._told:
                log.warning("a secret of the webhook does not count: %s", error)
            self._told.add(reference)
            return None
        except (SealaneError, TimeoutError) as error:
            log.warning("a secret of the webhook cannot be read now: %s", error)
            return self._known.get(reference)
        self._told.discard(reference)
        return secret
