"""A way to a service that can fall silent: the client's connections stay and swallow all, the service's are broken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Passes bytes on, for connections made before `silence()` none any more."""

    def __init__(self, target: str) -> None:
        self.address = ""
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._era = 0
        self._for_good = False
        self._connections: set[asyncio.StreamWriter] = set()
        self._onward: set[asyncio.StreamWriter] = set()

    def silence(self, *, for_good: bool = False) -> None:
        """Swallow from now on what the present clients send, and tell them nothing; the service loses them.

        `for_good` swallows also what comes over connections that are made later.
        """
        self._era += 1
        self._for_good = for_good
        for onward in self._onward:
            onward.transport.abort()
        self._onward.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        if self._for_good:
            self._connections.add(writer)
            while await reader.read(1 << 16):
                pass
            return
        era = self._era
        theirs, onward = await asyncio.open_connection(self._host, self._port)
        self._connections |= {writer, onward}
        self._onward.add(onward)
        await asyncio.gather(self._pass(reader, onward, era), self._pass(theirs, writer, era))

    def close(self) -> None:
        """Break all connections."""
        for writer in self._connections:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, era: int) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if era == self._era:
                    writer.write(data)
                    await writer.drain()
        if era == self._era:
            writer.close()


@asynccontextmanager
async def proxy(target: str) -> AsyncIterator[Proxy]:
    """Run a proxy in front of HOST:PORT."""
    passing = Proxy(target)
    server = await asyncio.start_server(passing.serve, "127.0.0.1", 0)
    passing.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield passing
    finally:
        server.close()
        passing.close()
        await server.wait_closed()
