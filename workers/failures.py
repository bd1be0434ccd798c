"""The words for going wrong. Raised anywhere, judged in one place (`workers.bus.judgement.verdict`).

    SealaneError
    ├── TemporaryError          come back later; counts an attempt
    │   ├── Unavailable         the outside does not answer, or is broken for now
    │   └── LeaseLost           somebody else may have gone on with this; look again
    ├── NotYet                  nothing is wrong, the world is not ready; counts no attempt until the deadline
    │   └── QuotaExhausted      the outside's rate limit says when to come back
    └── PermanentError          never; becomes a dead letter with the reason
        ├── Invalid             the input cannot be worked on
        ├── NotFound            the thing named does not exist
        ├── Denied              we may not
        └── Mismatch            two sources of truth disagree

An error's text is for people: what was wrong, where, what to do. It never holds a secret.
"""

from datetime import timedelta

DEFAULT_DEADLINE = timedelta(hours=6)


class SealaneError(Exception):
    """A failure with one clear sentence."""


class TemporaryError(SealaneError):
    """Come back later; counts an attempt. `after` is the earliest sensible time, None leaves it to the bus."""

    def __init__(self, message: str, *, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.after = after


class Unavailable(TemporaryError):
    """The outside does not answer, or is broken for now."""


class LeaseLost(TemporaryError):
    """The lease ended while we worked: somebody else may have gone on. Look again before acting."""


class NotYet(SealaneError):
    """Nothing is wrong, the world is not ready. Counts no attempt until `deadline` has passed since the first time."""

    def __init__(
        self, message: str, *, after: timedelta = timedelta(seconds=30), deadline: timedelta = DEFAULT_DEADLINE
    ) -> None:
        super().__init__(message)
        self.after = after
        self.deadline = deadline


class QuotaExhausted(NotYet):
    """The outside's rate limit is used up; `after` is when it allows more, `limit` how many it admits a minute."""

    def __init__(self, message: str, *, after: timedelta = timedelta(seconds=30), limit: float | None = None) -> None:
        super().__init__(message, after=after)
        self.limit = limit


class PermanentError(SealaneError):
    """Never: trying again cannot help. Becomes a dead letter with the reason."""


class Invalid(PermanentError):
    """The input cannot be worked on."""


class NotFound(PermanentError):
    """The thing named does not exist."""


class Denied(PermanentError):
    """We may not. The sentence says which permission is missing and where."""


class Mismatch(PermanentError):
    """Two sources of truth disagree; the sentence names both."""
