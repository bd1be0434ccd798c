"""Which deliveries are asked for again, and when. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from workers.ports.github import Delivery

KEPT = timedelta(days=3)
"""For so long GitHub remembers a delivery."""
OVERLAP = timedelta(minutes=10)
"""How much of the time before the last look is looked at again: what was under way then is listed later."""
_FIRST_PAUSE = timedelta(minutes=4)
_LONGEST_PAUSE = timedelta(hours=6)
"""Pauses between attempts double from the first, which is shorter than a tick, to the longest."""


@dataclass(frozen=True, slots=True)
class Story:
    """All attempts to deliver one event."""

    first: Delivery
    last: Delivery
    tries: int
    """How many attempts are listed."""
    failing: bool
    """Whether none of them succeeded."""

    def is_open(self, most: int) -> bool:
        """Whether it is to be asked for, now or later, `most` times in all.

        One whose first attempt is not listed began before all that is open still: it was given up.
        """
        return self.failing and not self.first.again and self.tries <= most

    def due_at(self) -> datetime:
        """Return when the next attempt is sensible."""
        # More doublings than these are longer than the longest pause, and would soon be longer than a timedelta.
        return self.last.delivered_at + min(_FIRST_PAUSE * (1 << min(self.tries - 1, 12)), _LONGEST_PAUSE)


def stories(attempts: Iterable[Delivery]) -> list[Story]:
    """Group attempts by what they deliver, the oldest first."""
    by_guid: dict[str, list[Delivery]] = {}
    for attempt in attempts:
        by_guid.setdefault(attempt.guid, []).append(attempt)
    found = []
    for tried in by_guid.values():
        tried.sort(key=lambda one: (one.delivered_at, one.id))
        found.append(Story(tried[0], tried[-1], len(tried), not any(one.ok for one in tried)))
    return sorted(found, key=lambda story: (story.first.delivered_at, story.first.id))


def due(told: Sequence[Story], now: datetime, most: int) -> list[Story]:
    """Return those to ask for now, the oldest first: failing, tried again fewer than `most` times, and rested."""
    return [story for story in told if story.is_open(most) and story.due_at() <= now]


def horizon(told: Sequence[Story], now: datetime, most: int) -> datetime:
    """Return since when there is something to look at next time: the first attempt of what is not over yet."""
    return min((story.first.delivered_at for story in told if story.is_open(most)), default=now)
