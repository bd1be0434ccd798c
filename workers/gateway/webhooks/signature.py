"""GitHub's signature: HMAC-SHA256 over the raw body, in `X-Hub-Signature-256: sha256=…`.

Source: docs.github.com, "Validating webhook deliveries".
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus

from workers.gateway.problems import Problem

HEADER = "x-hub-signature-256"
_SHAPE = re.compile(r"sha256=([0-9a-f]{64})")


class Seal:
    """What a body is known by, computed as it arrives: its hash, and its HMAC under each of several secrets."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._hash = hashlib.sha256()
        self._codes = [hmac.new(secret, digestmod=hashlib.sha256) for secret in secrets]

    def update(self, chunk: bytes | bytearray) -> None:
        """Go on with the next bytes of the body."""
        self._hash.update(chunk)
        for code in self._codes:
            code.update(chunk)

    def fits(self, signature: bytes) -> bool:
        """Whether one of the secrets made this signature; how long it takes does not say which."""
        found = False
        for code in self._codes:
            found |= hmac.compare_digest(code.digest(), signature)
        return found

    @property
    def body_hash(self) -> str:
        """SHA-256 of the body, in hex."""
        return self._hash.hexdigest()


def signature_of(values: Sequence[str]) -> bytes:
    """Return the signature out of the header's values. Raises Problem (401) that never repeats them."""
    if not values:
        raise unsigned(
            "the header X-Hub-Signature-256 is missing: give the webhook a secret, then GitHub signs what it sends"
        )
    found = _SHAPE.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        raise unsigned("the header X-Hub-Signature-256 is no signature: it is sent once, as sha256= and 64 hex digits")
    return bytes.fromhex(found[1])


def unsigned(detail: str) -> Problem:
    """Return the answer to a body that GitHub did not sign with a secret of ours."""
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers={"www-authenticate": 'GitHub-HMAC realm="sealane"'})
