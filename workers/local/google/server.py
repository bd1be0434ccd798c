"""`GoogleServices`: the running servers, REST on one port and gRPC on another, over one state."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from workers.local.google import rest, rpc
from workers.local.google.api import Apis, Ground, ServedRegistry
from workers.local.google.calls import Calls
from workers.local.google.faults import Faults
from workers.local.google.store import Store

# RSA releases the GIL while it signs; more threads than this only queue on the same two cores.
_THREADS = 2


class GoogleServices:
    """Google's services on 127.0.0.1, with their state in *data*.

    *token* is the only access token accepted; None accepts any that is not empty. *faults* lets tests make the
    services slow, short of quota, late or broken. *registry* is what Artifact Registry shows. Used as an async context
    manager, or with `start` and `stop`.
    """

    def __init__(
        self,
        data: Path,
        *,
        token: str | None = None,
        faults: Faults | None = None,
        registry: ServedRegistry | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self._data = data
        self._token = token
        self._registry = registry
        self._rest_port = self._grpc_port = 0
        self._running: tuple[Store, ThreadPoolExecutor, Any, Any] | None = None

    @property
    def rest_port(self) -> int:
        """The port of the REST form; known after `start`."""
        return self._rest_port

    @property
    def grpc_port(self) -> int:
        """The port of the gRPC form; known after `start`."""
        return self._grpc_port

    async def start(self, rest_port: int = 0, grpc_port: int = 0) -> None:
        """Open the state and both ports (0 takes a free one).

        Raises OSError or RuntimeError when a port is taken.
        """
        store = Store(self._data)
        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="google-sign")
        apis = Apis(Ground(store, self.faults, threads, self._registry))
        calls = Calls(self.faults, self._token)
        web = None
        try:
            web = await rest.serve(rest.RestHandler(apis, calls, self.faults), rest_port)
            self._rest_port = web.port
            server, self._grpc_port = await rpc.serve(apis, calls, grpc_port)
        except BaseException:
            if web is not None:
                await web.stop()
            threads.shutdown()
            store.close()
            raise
        self._running = (store, threads, web, server)

    async def stop(self) -> None:
        """Let what runs finish for a moment, then close both ports and the state."""
        if self._running is None:
            return
        store, threads, web, server = self._running
        self._running = None
        await server.stop(grace=1.0)
        await web.stop()
        await asyncio.to_thread(threads.shutdown)
        store.close()

    async def __aenter__(self) -> Self:
        """Start on free ports."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()
