"""Faults that a test may inject into the registry, and counters of what it was asked."""

from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Failure:
    """One answer that goes wrong."""

    status: int
    retry_after: str | None = None
    """The Retry-After header: seconds, or an HTTP date."""


@dataclass(slots=True)
class Faults:
    """Switches that take effect with the next request. All are off at first.

    A request is of one kind: base, blob, upload, manifest, tags, referrers or token.
    """

    latency: float = 0.0
    """Seconds that each request waits before it is looked at."""
    token_realm: str | None = None
    """The realm named in the Bearer challenge instead of our own token endpoint."""
    redirect_blobs: str | None = None
    """SCHEME://HOST to which each GET of a blob is redirected (307), the path kept."""
    redirect_manifests: str | None = None
    """SCHEME://HOST to which each GET and HEAD of a manifest is redirected (307), the path kept."""
    digest_header: str | None = None
    """What stands in Docker-Content-Digest of a manifest; empty leaves the header out."""
    calls: Counter[str] = field(default_factory=Counter)
    """How often each was asked, as METHOD KIND: `HEAD manifest`, `GET token`."""
    _failures: dict[str, deque[Failure]] = field(default_factory=dict)

    def fail(self, kind: str, status: int, *, times: int = 1, retry_after: str | None = None) -> None:
        """Let the next requests of a kind fail, before anything else is done with them."""
        self._failures.setdefault(kind, deque()).extend([Failure(status, retry_after)] * times)

    def next_failure(self, kind: str) -> Failure | None:
        """Take the failure that is due for a request of this kind, if any."""
        planned = self._failures.get(kind)
        return planned.popleft() if planned else None
