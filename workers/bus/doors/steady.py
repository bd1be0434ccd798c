"""What a door does besides answering goes on, whatever breaks it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)
AGAIN = 1.0
"""Seconds until what broke begins again; twice as long each time, up to a minute."""
_LONGEST = 60.0


async def steadily(work: Callable[[], Awaitable[None]], what: str, *, again: float = AGAIN) -> None:
    """Do something until it is done, and begin again when it breaks; each break is logged with its traceback.

    Without this a task that nobody waits for would end without a word, and the door would go on half alive.
    """
    while True:
        try:
            return await work()
        except Exception:
            log.exception("%s broke, and begins again in %.0f s: this is a fault in sealane, report it", what, again)
        await asyncio.sleep(again)
        again = min(2 * again, _LONGEST)
