"""An aiohttp application on a port of 127.0.0.1: how every local server that speaks HTTP listens, and ends."""

from aiohttp import web

_FINISHING = 1.0
"""Seconds that requests have to be answered when the server stops."""


class Loopback:
    """One server; `name` stands at the beginning of what it says when it is not there: "the registry"."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that it listens on. Raises RuntimeError unless it is started."""
        if self._runner is None:
            raise RuntimeError(f"{self._name} is not running")
        return int(self._runner.addresses[0][1])

    @property
    def url(self) -> str:
        """http://HOST:PORT. Raises RuntimeError unless it is started."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self, application: web.Application, port: int = 0) -> None:
        """Listen; port 0 takes a free one. Raises OSError if the port is taken."""
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_FINISHING)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening and end what is open; stopped already is fine."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
