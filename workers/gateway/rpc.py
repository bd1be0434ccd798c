"""The door over gRPC: the standard health service (grpc.health.v1), which says SERVING while the bus answers."""

import asyncio
import contextlib

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from workers.bus.transport.connection import Connection

_INTERVAL = 2.0


class RpcDoor:
    """The gRPC server in this event loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen and return the port. Raises RuntimeError when it is taken."""
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        port = server.add_insecure_port(f"{host}:{port}")
        await self._say()
        await server.start()
        self._server = server
        self._watching = asyncio.create_task(self._watch(), name="grpc health")
        return port

    async def stop(self) -> None:
        """Say that it ends, answer what is asked, then close; stopped already is fine."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None
        if self._server is not None:
            await self._health.enter_graceful_shutdown()
            await self._server.stop(grace=1.0)
            self._server = None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            await self._say()

    async def _say(self) -> None:
        alive = await self._connection.alive() is not None
        status = health_pb2.HealthCheckResponse.SERVING if alive else health_pb2.HealthCheckResponse.NOT_SERVING
        await self._health.set("", status)
