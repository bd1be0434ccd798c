"""Server-Sent Events on the wire (WHATWG HTML, section 9.2)."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext, suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from workers.gateway.live.tale import Told

MEDIA_TYPE = "text/event-stream"
RETRY = b"retry: 1000\n\n"
"""Milliseconds after which a browser comes back."""
_STUCK = 30.0
"""Seconds after which a client that reads nothing is cut off: it goes on where it was, if it comes back."""
_TURN = 0.01
"""Seconds for which one follower may be told something before it is the turn of all others."""
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
"""No proxy may store or gather what is told."""
OVER = "sealane.over"
"""In the scope of a request: what returns once its caller may hear no more."""


def frame(told: Told) -> bytes:
    """Return one thing told as the bytes of an event, or of a comment."""
    if told.kind == "heartbeat":
        return b": \n\n"
    head = b"" if told.id is None else b"id: %b\n" % told.id.encode()
    lines = b"".join(b"data: %b\n" % line for line in told.data.splitlines() or [b""])
    return b"%bevent: %b\n%b\n" % (head, told.kind.encode(), lines)


class EventStream(Response):
    """A response that goes on for as long as there is something to tell and somebody to hear it.

    `held` is given back at its end, however it ends.
    """

    def __init__(self, told: AsyncGenerator[Told, None], held: AbstractContextManager[object] | None = None) -> None:
        super().__init__(headers=_HEADERS, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._told = told
        self._held = held or nullcontext()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is told, until it ends or the client is gone; to HEAD only the head."""
        with self._held:
            if scope.get("method") == "HEAD":
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": b""})
                return
            telling = asyncio.create_task(self._tell(send))
            gone = asyncio.create_task(_gone(receive))
            over = [asyncio.create_task(scope[OVER]())] if OVER in scope else []
            tasks = {telling, gone, *over}
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
        if telling.cancelled() and gone.cancelled() and any(not task.cancelled() for task in over):
            # Who reads nothing does not read the end either.
            with suppress(TimeoutError):
                async with asyncio.timeout(_STUCK):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        if not telling.cancelled() and not isinstance(telling.exception(), TimeoutError):
            telling.result()

    async def _tell(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await _send(send, RETRY)
        async with aclosing(self._told) as told:
            begun = time.monotonic()
            async for one in told:
                await _send(send, frame(one))
                if time.monotonic() - begun > _TURN:
                    # Neither reading what is kept in memory nor writing to a client that takes it ever waits.
                    await asyncio.sleep(0)
                    begun = time.monotonic()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(send: Send, body: bytes) -> None:
    async with asyncio.timeout(_STUCK):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
