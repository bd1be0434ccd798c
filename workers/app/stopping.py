"""How a process is told to stop: SIGTERM or Ctrl-C set an event, and what waits for the world gives way to it."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class StoppedEarly(Exception):
    """Told to stop before the work began."""


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """Return what the work returns. Raises StoppedEarly when the stop comes first."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        return working.result()
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    raise StoppedEarly


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set; a second SIGINT ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        if stop.is_set():
            loop.remove_signal_handler(signal.SIGINT)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell)
    return stop
