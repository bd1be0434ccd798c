"""The one place that judges what a handler raised."""

import asyncio
import random
import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from workers.bus.transport.delivery import SHORT_RETRIES
from workers.failures import NotYet, PermanentError, SealaneError, TemporaryError
from workers.redaction import redact

SHORT_BACKOFF = (timedelta(seconds=0.5), timedelta(seconds=2), timedelta(seconds=5))
LONG_BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (15, 30, 60, 120, 300, 600, 900))
LONGEST_NAK = timedelta(seconds=10)
STACK_LIMIT = 12_000
MESSAGE_LIMIT = 4_000


@dataclass(frozen=True, slots=True)
class Failure:
    """What to do about a failure, and what to say about it."""

    action: Literal["nak", "schedule", "dead"]
    reason: str
    """For a dead letter: permanent, attempts or deadline. Otherwise: temporary or not-yet."""
    error: str
    message: str
    after: timedelta = timedelta(0)
    counts: bool = True
    """Whether it uses up an attempt."""
    stack: str = ""

    @property
    def outcome(self) -> Literal["retry", "waiting", "dead"]:
        """The word for it in progress messages."""
        if self.action == "dead":
            return "dead"
        return "retry" if self.counts else "waiting"


def judge(
    error: BaseException, *, attempt: int, attempts: int, delivered: int, first_seen: datetime, now: datetime
) -> Failure:
    """Decide. `attempt` is the one that failed, `attempts` how many there may be."""
    name, message = type(error).__name__, _sentence(error)
    stack = redact("".join(traceback.format_exception(error)))[-STACK_LIMIT:]
    if isinstance(error, PermanentError):
        return Failure("dead", "permanent", name, message, stack=stack)
    if isinstance(error, NotYet):
        if now - first_seen >= error.deadline:
            text = f"{message} (waited {_round(now - first_seen)}, longer than its deadline of {error.deadline})"
            return Failure("dead", "deadline", name, text[:MESSAGE_LIMIT], stack=stack)
        return Failure("schedule", "not-yet", name, message, after=_spread(error.after), counts=False)
    if attempt >= attempts:
        return Failure("dead", "attempts", name, f"{message} (given up after {attempt} attempts)", stack=stack)
    asked = error.after if isinstance(error, TemporaryError) else None
    if delivered <= SHORT_RETRIES and (asked is None or asked <= LONGEST_NAK):
        return Failure("nak", "temporary", name, message, after=_spread(asked or SHORT_BACKOFF[delivered - 1]))
    step = LONG_BACKOFF[min(max(attempt - SHORT_RETRIES - 1, 0), len(LONG_BACKOFF) - 1)]
    return Failure("schedule", "temporary", name, message, after=_spread(max(asked or step, timedelta(seconds=1))))


def _sentence(error: BaseException) -> str:
    if isinstance(error, TimeoutError | asyncio.TimeoutError) and not str(error):
        return "it took longer than its time limit"
    text = str(error) or type(error).__name__
    if not isinstance(error, SealaneError):
        text = f"{type(error).__name__}: {text}"
    return redact(text)[:MESSAGE_LIMIT]


def _spread(delay: timedelta) -> timedelta:
    """Add up to a fifth, so that what failed together does not come back together."""
    return delay * random.uniform(1.0, 1.2)  # noqa: S311 - jitter needs no secrecy


def _round(duration: timedelta) -> timedelta:
    return timedelta(seconds=round(duration.total_seconds()))
