"""How what runs comes to its end when a process stops."""

import asyncio
from collections.abc import Iterable

_LAST_WORDS = 2.0
"""Seconds that a cancelled task has to hand back what it held."""


async def finish(running: Iterable["asyncio.Task[None]"], grace: float) -> None:
    """Let tasks run for `grace` seconds more, then cancel those that are left."""
    tasks = tuple(running)
    if not tasks:
        return
    _, left = await asyncio.wait(tasks, timeout=grace)
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_LAST_WORDS)
