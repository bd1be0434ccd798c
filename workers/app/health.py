"""/metrics, /livez and /readyz of a process, on a small HTTP server of its own: GET only, one answer, close."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

log = logging.getLogger(__name__)
Page = tuple[int, str, bytes]
"""Status, content type, body."""
_PATIENCE = 5.0
_WORDS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class HealthServer:
    """Serves the pages of a process. `live` and `ready` return (whether, what to say); `more` are further pages."""

    def __init__(
        self,
        live: Callable[[], Awaitable[tuple[bool, dict[str, object]]]],
        ready: Callable[[], Awaitable[tuple[bool, dict[str, object]]]],
        more: Mapping[str, Callable[[], Awaitable[Page]]] | None = None,
    ) -> None:
        self._live = live
        self._ready = ready
        self._more = more or {}
        self._server: asyncio.Server | None = None

    async def start(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen and return the port. Raises OSError when it is taken."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=8192)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening; stopped already is fine."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                verb, _, rest = head.decode("latin-1").partition(" ")
                status, kind, body = await self._page(verb, rest.split(" ", 1)[0])
                writer.write(
                    f"HTTP/1.1 {status} {_WORDS[status]}\r\ncontent-type: {kind}\r\n"
                    f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
                )
                writer.write(b"" if verb == "HEAD" else body)
                await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def _page(self, verb: str, path: str) -> Page:
        if verb not in {"GET", "HEAD"}:
            return 405, "text/plain", b"GET only\n"
        match path.partition("?")[0]:
            case "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest()
            case "/livez":
                return _json(*await self._live())
            case "/readyz":
                return _json(*await self._ready())
            case other if other in self._more:
                return await self._more[other]()
            case _:
                return 404, "text/plain", b"/metrics, /livez and /readyz are here\n"


def _json(good: bool, said: dict[str, object]) -> Page:  # noqa: FBT001 - a pair, unpacked
    return (200 if good else 503), "application/json", json.dumps(said).encode() + b"\n"
