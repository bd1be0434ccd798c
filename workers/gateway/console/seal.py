"""What the console hands out and must know again: signed, expiring, good for one purpose (JWT, RFC 7519, HS256)."""

import hmac
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from workers.failures import Invalid

SHORTEST_KEY = 32
"""Bytes: as many as the hash has (RFC 7518, section 3.2)."""
_ALGORITHM = "HS256"


class Seal:
    """Signs with one key, the same in all replicas. `clock` counts seconds since 1970. Raises Invalid: a short key."""

    def __init__(self, key: str, clock: Callable[[], float] = time.time) -> None:
        if len(key.encode()) < SHORTEST_KEY:
            raise Invalid(
                f"the console's secret is shorter than {SHORTEST_KEY} bytes: `openssl rand -base64 48` makes one"
            )
        self._key = key
        self._clock = clock

    def seal(self, purpose: str, lifetime: timedelta, claims: Mapping[str, Any]) -> str:
        """Return the claims, signed, good for one purpose and for so long."""
        import jwt  # noqa: PLC0415 - processes that open no console never load it

        known = {"aud": purpose, "exp": self._clock() + lifetime.total_seconds()}
        return jwt.encode({**claims, **known}, self._key, algorithm=_ALGORITHM)

    def word(self, purpose: str, text: str) -> str:
        """Return a word that only who has the key can say of a text (HMAC, RFC 2104)."""
        return hmac.new(self._key.encode(), f"{purpose}\0{text}".encode(), "sha256").hexdigest()

    def opened(self, purpose: str, text: str) -> dict[str, Any] | None:
        """Return the claims, or None when they are not ours, for something else, or too old."""
        import jwt  # noqa: PLC0415 - as above

        options: Any = {"require": ["aud", "exp"], "verify_exp": False}
        try:
            claims: dict[str, Any] = jwt.decode(
                text, self._key, algorithms=[_ALGORITHM], audience=purpose, options=options
            )
        except (jwt.PyJWTError, ValueError):
            return None
        return claims if float(claims["exp"]) > self._clock() else None

    def remaining(self, claims: Mapping[str, Any]) -> float:
        """Return for how many seconds claims are good still."""
        return float(claims["exp"]) - self._clock()
