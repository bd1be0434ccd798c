"""The public keys of issuers, by key id: fetched when they are needed, kept, and fetched anew when a key is unknown.

An issuer that is away stops nobody whose key is known. An unknown key id makes the set be fetched again, though never
more often than once in `COOLDOWN` seconds: those ids come from anybody. Source: RFC 7517 (JSON Web Key).
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from workers.failures import SealaneError, Unavailable
from workers.gateway.principals import Issuer

if TYPE_CHECKING:
    from jwt import PyJWK

log = logging.getLogger(__name__)
FRESH = 3600.0
"""Seconds for which a key set is believed without a look."""
KEPT = 86_400.0
"""Seconds for which the keys of an issuer that is away still count."""
COOLDOWN = 10.0
"""Seconds between two looks at one issuer."""


class FetchKeys(Protocol):
    """Fetches the document at a URL. Raises Unavailable."""

    async def __call__(self, url: str) -> bytes:
        """Return the body."""
        ...


class _Kept:
    """The keys of one issuer as they were last seen."""

    def __init__(self) -> None:
        self.keys: Mapping[str, PyJWK] = {}
        self.fetched_at = float("-inf")
        self.tried_at = float("-inf")
        self.problem: str | None = None
        self.fetching = asyncio.Lock()


class KeySets:
    """The key sets of all issuers. `clock` is monotonic, in seconds."""

    def __init__(self, fetch: FetchKeys, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    async def key(self, issuer: Issuer, key_id: str) -> "PyJWK | None":
        """Return a key, or None when the issuer has none of that id. Raises Unavailable when that cannot be told."""
        kept = self._kept.setdefault(issuer.keys_url, _Kept())
        if key_id not in kept.keys or self._age(kept) > FRESH:
            async with kept.fetching:
                if key_id not in kept.keys or self._age(kept) > FRESH:
                    await self._look(issuer, kept)
        if key_id in kept.keys and self._age(kept) <= KEPT:
            return kept.keys[key_id]
        if kept.problem is not None:
            raise Unavailable(f"the keys of the issuer {issuer.name!r} cannot be fetched now: {kept.problem}")
        return None

    def _age(self, kept: _Kept) -> float:
        return self._clock() - kept.fetched_at

    async def _look(self, issuer: Issuer, kept: _Kept) -> None:
        now = self._clock()
        if now - kept.tried_at < COOLDOWN:
            return
        kept.tried_at = now
        try:
            kept.keys = _read(await self._fetch(issuer.keys_url))
        except SealaneError as error:
            kept.problem = str(error)
            log.warning("the keys of the issuer %s were not fetched: %s", issuer.name, error)
        else:
            kept.problem, kept.fetched_at = None, now


def _read(body: bytes) -> "dict[str, PyJWK]":
    """Return the keys that can be used, by id: a set may hold kinds that we do not know. Raises Unavailable."""
    from jwt import PyJWK  # noqa: PLC0415 - processes that open no door never load it
    from jwt.exceptions import PyJWTError  # noqa: PLC0415 - as above

    try:
        found: Any = json.loads(body)
        entries = [entry for entry in found["keys"] if isinstance(entry, dict)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unavailable("what is there is no JSON Web Key Set") from None
    keys = {}
    for entry in entries:
        if isinstance(entry.get("kid"), str) and entry.get("use", "sig") == "sig" and entry.get("kty") != "oct":
            try:
                keys[entry["kid"]] = PyJWK.from_dict(entry)
            except (PyJWTError, ValueError, TypeError):
                log.debug("a key of a kind that is not known is passed over")
    return keys
