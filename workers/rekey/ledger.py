"""Counts the images of a rotation while a note is listed; of an attestation nothing is kept but a few bytes."""

import re
from collections.abc import Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet
from datetime import datetime

from schemas.images import DIGEST_PATTERN, PINNED_PATTERN
from workers.ports import Attestation
from workers.rekey.rules import Change

_DIGEST = re.compile(DIGEST_PATTERN)
_PINNED = re.compile(PINNED_PATTERN)
_SCHEME = "https://"


class Ledger:
    """Which images are to be attested by the new keys, and since when they are.

    In scope is what an old key attested at `since` or later, and `images`: HOST/PATH@DIGEST of further ones. About 300
    bytes an image.
    """

    def __init__(self, change: Change, listed: Collection[str], since: datetime | None, images: Iterable[str]) -> None:
        self._change = change
        self._listed = frozenset(listed)
        self._since = since
        self._further = {_raw(image.rpartition("@")[2]): image for image in images}
        self._admitted: set[bytes] = set()
        self._scope: dict[bytes, str] = dict(self._further)
        self._signed: dict[bytes, float] = {}
        self.signed = 0
        """How many images in scope have an attestation by a new key."""

    def add(self, attestation: Attestation) -> None:
        """Count one attestation of the note; what names no digest admits nothing and does not count."""
        if not _DIGEST.match(attestation.digest):
            return
        digest, made = _raw(attestation.digest), attestation.created_at
        if attestation.key_id in self._change.new:
            self.signed += digest not in self._signed and digest in self._scope
            # The newest: should it not verify, another one made later is looked at again.
            self._signed[digest] = max(self._signed.get(digest, 0.0), made.timestamp() if made else 0.0)
        elif attestation.key_id in self._change.old and (self._since is None or made is None or made >= self._since):
            self.signed += digest not in self._scope and digest in self._signed
            self._scope.setdefault(digest, attestation.resource_uri.removeprefix(_SCHEME))
        if digest in self._further and attestation.key_id in self._listed:
            self._admitted.add(digest)

    @property
    def total(self) -> int:
        """Return how many images are in scope."""
        return len(self._scope)

    @property
    def never_attested(self) -> tuple[str, ...]:
        """Return the further images of which the note holds no attestation by a key of the attestor."""
        return tuple(image for digest, image in self._further.items() if digest not in self._admitted)

    def made_since(self, since: float) -> list[tuple[float, str]]:
        """Return (time, digest) of images in scope whose newest attestation by a new key is that young, by time."""
        found = ((self._signed[digest], digest) for digest in self._scope if self._signed.get(digest, -1.0) >= since)
        return [(made, _text(digest)) for made, digest in sorted(found)]

    def waiting(self, refused: AbstractSet[str] = frozenset()) -> Iterator[str]:
        """Yield the digests in scope without an attestation by a new key, or whose attestation was `refused`."""
        for digest in sorted(self._scope):
            if digest not in self._signed or _text(digest) in refused:
                yield _text(digest)

    def image(self, digest: str) -> str:
        """Return what is attested under a digest in scope, without a scheme."""
        return self._scope[_raw(digest)]

    def can_be_named(self, digest: str) -> bool:
        """Whether it is HOST/PATH@DIGEST, as an event can say it."""
        return _PINNED.match(self.image(digest)) is not None


def _raw(digest: str) -> bytes:
    return bytes.fromhex(digest.partition(":")[2])


def _text(digest: bytes) -> str:
    return f"sha256:{digest.hex()}"
