"""The body of a delivery: up to 25 MB as GitHub sends it, few large ones in memory at a time.

GitHub waits ten seconds for an answer and never sends again by itself: what cannot be taken in time is answered so,
and a worker asks GitHub to deliver it once more.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request

from workers.gateway.problems import Problem, away
from workers.gateway.reading import discard

MOST_BYTES = 25 * 1024 * 1024
"""What GitHub sends at most (docs.github.com, "Webhook events and payloads", payload cap)."""
SMALL = 256 * 1024
"""Bytes up to which a body needs no place among the large ones."""
LARGE_AT_ONCE = 3
READING_SECONDS = 5.0
"""How long a body may take to arrive, waiting for a place included."""


class Arrivals:
    """Reads bodies. One of them is worked on inside `async with`; a large one keeps its place until the end of it."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(LARGE_AT_ONCE)

    @asynccontextmanager
    async def body(self, request: Request, seen: Callable[[bytes], None]) -> AsyncIterator[bytearray]:
        """Give the body; `seen` is called with each piece as it arrives.

        Raises Problem: 413 above MOST_BYTES, 408 when it takes too long, 503 when too many large ones are here.
        """
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(READING_SECONDS):
                    body = await self._read(request, seen, held)
            except TimeoutError:
                raise Problem(
                    HTTPStatus.REQUEST_TIMEOUT, f"the body did not arrive in {READING_SECONDS:g} s: deliver it again"
                ) from None
            except ClientDisconnect:
                raise Problem(HTTPStatus.BAD_REQUEST, "the connection ended before the body") from None
            except Problem:
                await discard(request)
                raise
            if body is None:
                await discard(request)
                raise Problem(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"the body is larger than the {MOST_BYTES >> 20} MB that GitHub sends at most",
                    headers={"connection": "close"},
                )
            yield body

    async def _read(self, request: Request, seen: Callable[[bytes], None], held: AsyncExitStack) -> bytearray | None:
        """Return the body, None when it is too large. While it waits for a place, the sender waits as well."""
        declared = request.headers.get("content-length", "")
        size = int(declared) if declared.isascii() and declared.isdecimal() and len(declared) < 20 else 0  # noqa: PLR2004 - digits
        if size > MOST_BYTES:
            return None
        placed = False
        body = bytearray()
        async for chunk in request.stream():
            if not placed and max(size, len(body) + len(chunk)) > SMALL:
                await self._take_place(held)
                placed = True
            seen(chunk)
            body += chunk
            if len(body) > MOST_BYTES:
                return None
        return body

    async def _take_place(self, held: AsyncExitStack) -> None:
        try:
            async with asyncio.timeout(READING_SECONDS / 2):
                await held.enter_async_context(self._places)
        except TimeoutError:
            raise away("too many large deliveries arrive at once: deliver it again") from None
