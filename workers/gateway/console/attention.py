"""What needs somebody: asked of the bus once in a few seconds, whoever looks."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from workers.bus.doors.graveyard import newest_letters, with_replays
from workers.bus.judgement.line import LineState, read_line
from workers.bus.rooms import cards
from workers.bus.topology.streams import DEAD
from workers.bus.transport.connection import Connection
from workers.failures import SealaneError
from workers.gateway.health import Health, examine
from workers.gateway.principals import Principal

_COUNTED = 500
"""Dead letters that are looked at one by one."""
_FRESH = 2.0
"""Seconds for which an answer of the bus is shown."""


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that needs somebody: what is wrong, and where it is set right."""

    sentence: str
    place: str
    remedy: str
    """What one finds there."""
    grave: bool = True
    """Whether work stands still."""
    since: datetime | None = None


class Attention:
    """Looks after the bus and its workers. `clock` is monotonic, in seconds."""

    def __init__(
        self, connection: Connection, operator: Connection, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._operator = operator
        self._clock = clock
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._health = Health(None, (), ())
        self._undecided = 0
        self.stopped: dict[str, LineState] = {}
        """The lines that were stopped when somebody last asked for the health."""

    @property
    def workers(self) -> tuple[str, ...]:
        """The names of all workers."""
        return tuple(sorted(cards()))

    async def health(self) -> Health:
        """Return how everything is."""
        async with self._asking:
            if self._clock() - self._asked_at >= _FRESH:
                self._health = await examine(self._connection)
                self._undecided = await self._count_undecided()
                self.stopped = await self._read_stopped()
                self._asked_at = self._clock()
            return self._health

    def look_again(self) -> None:
        """Forget what is known: somebody has just changed it."""
        self._asked_at = float("-inf")

    async def needs(self, principal: Principal) -> list[Need]:
        """Return what needs somebody, the worst first. Only who sees everything is told of the whole."""
        if not sees_all(principal):
            return []
        health = await self.health()
        if health.round_trip is None:
            return [Need("The bus does not answer: nothing moves.", "/console/workers", "Look at the workers")]
        found = []
        for worker in health.workers:
            place = f"/console/workers#{worker.name}"
            if line := self.stopped.get(worker.name):
                sentence = f"The line of {worker.name} is stopped by {line.by}: {line.reason}."
                found.append(Need(sentence, place, "Resume it", since=line.since))
            elif worker.problem:
                found.append(Need(f"{worker.name}: {worker.problem}.", place, "Look at it"))
            elif not worker.present and worker.lag:
                waiting = f"{worker.lag:,} event{'s' if worker.lag > 1 else ''} wait{'' if worker.lag > 1 else 's'}"
                found.append(Need(f"No process of {worker.name} asks for work; {waiting}.", place, "Look at it"))
        found += [
            Need(f"{stream.name}: {stream.problem or stream.alarm}.", "/console/workers#streams", "Look at it")
            for stream in health.streams
            if stream.problem or stream.alarm
        ]
        if self._undecided:
            one = self._undecided == 1
            sentence = f"{self._undecided:,} dead letter{'' if one else 's'} wait{'s' if one else ''} for a decision."
            found.append(Need(sentence, "/console/dead", "Decide", grave=False))
        return found

    async def _read_stopped(self) -> dict[str, LineState]:
        names = [worker.name for worker in self._health.workers if worker.stopped]
        try:
            lines = {name: (await read_line(self._operator, name))[0] for name in names}
        except SealaneError:
            return self.stopped
        return {name: line for name, line in lines.items() if line.state == "stopped"}

    async def _count_undecided(self) -> int:
        """Count the dead letters that nobody replayed; of very many, say only how many there are."""
        dead = next((stream.messages for stream in self._health.streams if stream.name == DEAD), None) or 0
        if not 0 < dead <= _COUNTED:
            return dead
        try:
            letters = [letter async for letter in newest_letters(self._operator)]
            return sum(not letter.replays for letter in await with_replays(self._operator, letters))
        except SealaneError:
            return dead


def sees_all(principal: Principal) -> bool:
    """Whether the policy hides no run from a principal."""
    return any(sight.type == sight.subject == "**" for sight in principal.may_see)
