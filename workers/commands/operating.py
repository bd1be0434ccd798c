"""Runs one piece of work on the bus as the operator."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from workers.bus.transport.connection import Connection

Result = TypeVar("Result")


def as_operator(data: Path | None, work: "Callable[[Connection], Awaitable[Result]]") -> Result:
    """Connect as `operator`, do the work, close, and return its result. Raises what the work raises, Unavailable."""

    async def run() -> Result:
        from workers.app.connecting import connect_as

        async with connect_as("operator", data) as connection:
            return await work(connection)

    return asyncio.run(run())
