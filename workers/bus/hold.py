"""What a process holds: deliveries waiting, running, or suspected of killing processes.

A message that was delivered more than twice without a verdict that we know of is a suspect: it runs alone, so that if
the process dies again, only it is to blame. The rest waits.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Iterator

from workers.bus.delivery import Delivery

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
        while not self.closed and not self._alone:
            if self._suspects:
                if not self.running:
                    self._alone = True
                    self._start(self._suspects.popleft(), alone=True)
                return
            if not self._waiting or len(self.running) >= (1 if self.single else self.concurrency):
                return
            self._start(self._waiting.popleft(), alone=False)

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

    def _start(self, delivery: Delivery, *, alone: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._run(delivery, alone))
        self.running[task] = delivery
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self.running[task]
        if not self.running:
            self._alone = False
        if not task.cancelled() and (error := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a handling ended without a verdict", "exception": error, "task": task}
            )
        self.pump()
