"""`grpc.health.v1.Health`: whether the door serves, for whoever asks, as a probe does that has no token.

All services stand on the same bus, so that they are well or ill together. A watcher holds nothing that others wait
for, whether it reads or not, and is let go at the end. Source: gRPC's "GRPC Health Checking Protocol".
"""

import asyncio
from collections.abc import Collection
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from workers.gateway.rpc.calls import Context

SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_Request, _Response = health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
MOST_WATCHES = 64
"""Those who watch at a time: anybody may, and calls of principals need places as well."""
STUCK = 30.0
"""Seconds after which a watcher that reads nothing is let go."""


class Health:
    """Answers for the services of these names, and for the server, whose name is empty."""

    def __init__(self, names: Collection[str], *, most: int = MOST_WATCHES, stuck: float = STUCK) -> None:
        self._names = frozenset({"", *names})
        self._most = most
        self._stuck = stuck
        self._serves = self._is_over = False
        self._changed = asyncio.Event()
        self._watching = 0

    @property
    def methods(self) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
        """The methods of the service, by name."""
        read, write = _Request.FromString, _Response.SerializeToString
        return {
            "Check": grpc.unary_unary_rpc_method_handler(self.check, read, write),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch, read, write),
        }

    def say(self, *, serves: bool) -> None:
        """Tell all who watch, if it is news; nothing is once it was ended."""
        if serves != self._serves and not self._is_over:
            self._serves = serves
            self._ring()

    def end(self) -> None:
        """Say for good that nothing is served, and let go of all who watch."""
        self._serves, self._is_over = False, True
        self._ring()

    async def check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
        """Return whether a service serves."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service here")
        return self._status(request.service)

    async def watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:
        """Tell whether a service serves, and each time that it changes."""
        if self._watching >= self._most:
            sentence = f"{self._most} watch already, as many as may: use Check"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, sentence)
        self._watching += 1
        try:
            await self._tell(request.service, context)
        except TimeoutError:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"nothing was read for {self._stuck:g} s: watch again")
        finally:
            self._watching -= 1

    async def _tell(self, name: str, context: Context) -> None:
        told = None
        while True:
            changed, found = self._changed, self._status(name)
            if found != told:
                async with asyncio.timeout(self._stuck):
                    await context.write(found)
                told = found
            if self._is_over:
                return
            await changed.wait()

    def _status(self, name: str) -> health_pb2.HealthCheckResponse:
        if name not in self._names:
            return _Response(status=_Response.SERVICE_UNKNOWN)
        return _Response(status=_Response.SERVING if self._serves else _Response.NOT_SERVING)

    def _ring(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
