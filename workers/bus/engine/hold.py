"""What a process holds: deliveries waiting, running, or suspected of killing processes.

A message that was delivered more than twice without a verdict that we know of is a suspect: it runs alone, so that if
the process dies again, only it is to blame. The rest waits.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Iterator

from workers.bus.transport.delivery import Delivery

_REMEMBERED = 4096
UNSUSPICIOUS_DELIVERIES = 2

Run = Callable[[Delivery, bool], Coroutine[None, None, None]]
"""Handles a delivery; the flag says whether it runs alone."""


class Hold:
    """Bounded work in flight: at most `concurrency` run, and `prefetch` are held at all."""

    def __init__(self, run: Run, *, concurrency: int, prefetch: int) -> None:
        self._run = run
        self.concurrency = concurrency
        self.prefetch = prefetch
        self.running: dict[asyncio.Task[None], Delivery] = {}
        self.closed = False
        self.single = False
        """Take one message at a time: the line is being tried."""
        self._waiting: deque[Delivery] = deque()
        self._suspects: deque[Delivery] = deque()
        self._alone = False
        self._judged: OrderedDict[tuple[str, int], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self.running) + len(self._waiting) + len(self._suspects)

    def __iter__(self) -> Iterator[Delivery]:
        yield from tuple(self.running.values())
        yield from tuple(self._waiting)
        yield from tuple(self._suspects)

    def room(self) -> int:
        """Return how many more messages would be taken now."""
        if self.closed:
            return 0
        return max(0, (1 if self.single else self.prefetch) - len(self))

    def worthwhile(self) -> int:
        """Return for how many messages it is worth asking: a request each would cost more than it brings."""
        return 1 if self.single else max(1, self.prefetch // 4)

    def take(self, delivery: Delivery) -> None:
        """Accept a delivery and start what may start."""
        known = (delivery.stream, delivery.sequence) in self._judged
        suspect = delivery.delivered > UNSUSPICIOUS_DELIVERIES and not known
        (self._suspects if suspect else self._waiting).append(delivery)
        self.pump()

    def judged(self, delivery: Delivery) -> None:
        """Remember that a delivery got a verdict here: its return is no sign of a crash."""
        self._judged[delivery.stream, delivery.sequence] = None
        if len(self._judged) > _REMEMBERED:
            self._judged.popitem(last=False)

    def pump(self) -> None:
        """Start what may start now."""
        while self._suspects or self._waiting:
            alone = bool(self._suspects)
            delivery = self._next()
            if delivery is None:
                return
            self._alone = alone
            task = asyncio.get_running_loop().create_task(self._drive(delivery, alone=alone))
            self.running[task] = delivery
            task.add_done_callback(self._ended)

    def _next(self, *, instead: bool = False) -> Delivery | None:
        """Take what may run now: a suspect when nothing else runs, otherwise what waits, if there is a place.

        `instead`: it would take the place of one that has just ended.
        """
        if self.closed or self._alone:
            return None
        running = len(self.running) - instead
        if self._suspects:
            return None if running else self._suspects.popleft()
        if not self._waiting or running >= (1 if self.single else self.concurrency):
            return None
        return self._waiting.popleft()

    async def _drive(self, delivery: Delivery, *, alone: bool) -> None:
        """Handle a delivery and then, in the same task, what waits: a new task for each costs more than small work."""
        task = asyncio.current_task()
        following: Delivery | None = delivery
        while following is not None and task is not None:
            self.running[task] = following
            await self._run(following, alone)
            following = None if alone or self._suspects else self._next(instead=True)

    def close(self) -> list[Delivery]:
        """Start nothing any more, and return what was not started."""
        self.closed = True
        return self.release()

    def release(self) -> list[Delivery]:
        """Return what was not started, no longer held."""
        unstarted = [*self._waiting, *self._suspects]
        self._waiting.clear()
        self._suspects.clear()
        return unstarted

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self.running[task]
        if not self.running:
            self._alone = False
        if not task.cancelled() and (error := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a handling ended without a verdict", "exception": error, "task": task}
            )
        self.pump()
