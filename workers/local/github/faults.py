"""Faults that a test may inject into the local GitHub, and counters of what it was asked."""

from collections import Counter, deque
from dataclasses import dataclass, field

SECONDARY_LIMIT = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    " If you reach out to GitHub Support for help, please include the request ID."
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One answer that goes wrong."""

    status: int
    message: str
    retry_after: str | None = None
    """The Retry-After header: seconds."""
    wait: float = 0.0
    """Seconds that pass first."""


@dataclass(slots=True)
class Faults:
    """Switches that take effect with the next request. All are off at first.

    A request is of one kind: the name of its route, such as token, deliveries, delivery, attempt, repository, compare,
    tree, ref, branch, commit, contents or git; what matches no route is of the kind unknown.
    """

    latency: float = 0.0
    """Seconds that each request waits before it is looked at."""
    calls: Counter[str] = field(default_factory=Counter)
    """How often each was asked, as METHOD KIND: `POST token`, `GET compare`."""
    _failures: dict[str, deque[Failure]] = field(default_factory=dict)

    def fail(self, kind: str, status: int, *, times: int = 1, retry_after: str | None = None) -> None:
        """Let the next requests of a kind fail, before anything else is done with them."""
        self._plan(kind, Failure(status, "Server Error" if status >= 500 else "Not Found", retry_after), times)  # noqa: PLR2004 - the class of server errors in HTTP

    def limit(self, kind: str, *, status: int = 403, times: int = 1, retry_after: str | None = "60") -> None:
        """Let the next requests of a kind meet a secondary rate limit, which GitHub answers with 403 or 429."""
        self._plan(kind, Failure(status, SECONDARY_LIMIT, retry_after), times)

    def stall(self, kind: str, seconds: float, *, times: int = 1) -> None:
        """Let the next requests of a kind wait, and then end in 504 as those do that take GitHub too long."""
        message = "We couldn't respond to your request in time."
        self._plan(kind, Failure(504, message, wait=seconds), times)

    def next_failure(self, kind: str) -> Failure | None:
        """Take the failure that is due for a request of this kind, if any."""
        planned = self._failures.get(kind)
        return planned.popleft() if planned else None

    def _plan(self, kind: str, failure: Failure, times: int) -> None:
        self._failures.setdefault(kind, deque()).extend([failure] * times)
