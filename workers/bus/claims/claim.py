"""What is written down about a claim, and under which name."""

import re
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from schemas.identity import digest_of
from workers.failures import Invalid

LONGEST_KEY = 200
_SPECIAL = re.compile(rb"[^A-Za-z0-9_-]")
_ESCAPED = re.compile(r"=([0-9A-F]{2})")
_HASHED = "=H"
"""Begins the name of a key that was too long: no escape begins so."""


class Claim(BaseModel):
    """The value of a claim: who holds it, since when, how far they are. A lease is data, never a TTL.

    An expired key would forget that somebody tried, so only what is over expires.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    key: str
    """As the worker named it."""
    state: Literal["held", "released", "done"]
    """`released`: its holder gave it up, finished (attempt 0) or failed; `done`: the result is here."""
    owner: str
    """The process that wrote this."""
    token: str
    """The one holding in that process."""
    attempt: int
    """Which attempt this is; 0 when the last one came to its end."""
    step: str | None = None
    """The last step that was marked."""
    since: AwareDatetime
    """When this attempt began."""
    renewed: AwareDatetime
    """When this was written."""
    lease: float
    """Seconds for which the holder may be silent."""
    result: dict[str, Any] | None = None
    """What the work returned."""
    kept: dict[str, Any] | None = None
    """What a holder left for the next one; a claim that keeps something never expires."""


def encode_key(key: str) -> str:
    """Return the token of a subject for a key: readable and reversible, or a hash when it is long.

    Every byte but letters, digits, `_` and `-` is written `=XX`. Raises Invalid for an empty key.
    """
    if not key:
        raise Invalid("a claim needs a key: an empty one would stand for everything")
    encoded = _SPECIAL.sub(lambda found: b"=%02X" % found[0][0], key.encode()).decode()
    return encoded if len(encoded) <= LONGEST_KEY else _HASHED + digest_of("claim", key)


def decode_key(token: str) -> str | None:
    """Return the key of a token, or None when it was hashed."""
    if token.startswith(_HASHED):
        return None
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), token).encode("latin-1").decode()
