"""The door over gRPC listens: events come in, runs are told, and the standard health service says whether it serves.

In plain text it listens on this machine alone. Reflection tells what it serves, where that is asked for.
"""

import asyncio
import contextlib
from typing import Any

import grpc.aio

from workers.bus.doors.steady import steadily
from workers.bus.transport.connection import Connection
from workers.failures import Invalid
from workers.gateway.events import PATIENCE
from workers.gateway.health import Readiness
from workers.gateway.pb.sealane.v1 import events_pb2, progress_pb2, runs_pb2
from workers.gateway.protocol import HEAD_SECONDS, MOST_CONNECTIONS
from workers.gateway.rpc import health
from workers.gateway.rpc.calls import Calls
from workers.gateway.rpc.certificates import Certificates
from workers.gateway.rpc.listing import RunsService
from workers.gateway.rpc.publishing import EventsService
from workers.gateway.rpc.telling import STUCK, ProgressService
from workers.gateway.server import Door
from workers.registries import is_loopback

_INTERVAL = 2.0
_FILES = (events_pb2, progress_pb2, runs_pb2)
_SERVICES = tuple(name.full_name for file in _FILES for name in file.DESCRIPTOR.services_by_name.values())
_KEEPALIVE = {
    # A connection that says nothing is asked whether it lives, and ended when it does not answer.
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.http2.max_pings_without_data": 0,
    # Clients may ask as well, this often; more is answered with GOAWAY (too_many_pings).
    "grpc.http2.min_recv_ping_interval_without_data_ms": 10_000,
    "grpc.max_connection_idle_ms": 300_000,
    # A client proves itself anew and finds other replicas now and then; a stream has time to end, then it is resumed.
    "grpc.max_connection_age_ms": 3_600_000,
    "grpc.max_connection_age_grace_ms": 600_000,
}


class RpcDoor:
    """The gRPC server in this event loop, beside the door over HTTP, which is started before.

    `certificates`: without them it speaks plain text. `reflection`: whether it tells what it serves. `grace`: the
    seconds that calls which are under way have at the end. `stuck`: those after which a follower that reads nothing is
    cut off. `most`: the calls that are answered at a time; one more is told RESOURCE_EXHAUSTED.
    """

    def __init__(
        self,
        connection: Connection,
        door: Door,
        *,
        certificates: Certificates | None = None,
        reflection: bool = False,
        grace: float = PATIENCE + 1,
        stuck: float = STUCK,
        most: int = MOST_CONNECTIONS,
    ) -> None:
        self._readiness = Readiness(connection)
        self._door = door
        self._certificates = certificates
        self._reflection = reflection
        self._grace = grace
        self._most = most
        self._calls = Calls(door.events, door.metrics)
        self._publishing = EventsService(self._calls, door.events)
        self._telling = ProgressService(self._calls, door.live, stuck=stuck)
        self._listing = RunsService(self._calls, door.live.list)
        self._health = health.Health(_SERVICES)
        self._server: grpc.aio.Server | None = None
        self._watching: list[asyncio.Task[None]] = []

    @property
    def telling(self) -> int:
        """How many streams are open."""
        return self._telling.count

    async def start(self, port: int, host: str = "127.0.0.1") -> int:
        """Listen and return the port. Raises RuntimeError when it is taken; Invalid: without TLS far from home."""
        if self._certificates is None and not is_loopback(host):
            raise Invalid(
                f"the door over gRPC would speak plain text on {host}, where others listen: name its certificate"
                " (SEALANE_GRPC_CERTIFICATE, SEALANE_GRPC_KEY), or turn it off (SEALANE_GRPC_PORT=-1)"
            )
        server = grpc.aio.server(options=self._options(), maximum_concurrent_rpcs=self._most)
        self._serve(server)
        if self._certificates is None:
            port = server.add_insecure_port(f"{host}:{port}")
        else:
            port = server.add_secure_port(f"{host}:{port}", await self._certificates.load())
            self._watching.append(
                asyncio.create_task(
                    steadily(self._certificates.watch, "looking for a new certificate"), name="certificates"
                )
            )
        await self._say()
        await server.start()
        self._server = server
        self._watching.append(asyncio.create_task(steadily(self._watch, "telling health"), name="grpc health"))
        return port

    async def stop(self) -> None:
        """End what is told, answer what is asked, then close; stopped already is fine."""
        for task in self._watching:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._watching.clear()
        if self._server is None:
            return
        self._health.end()
        # From now on no call comes in; the streams must end by themselves, or would use up the grace.
        stopping = asyncio.create_task(self._server.stop(self._grace), name="stop grpc")
        await self._door.live.close()
        await self._telling.close()
        await stopping
        await self._calls.close(self._grace)
        self._server = None

    def _options(self) -> list[tuple[str, Any]]:
        handshake = int(HEAD_SECONDS * 1000)
        limits = {"grpc.so_reuseport": 0, "grpc.server_handshake_timeout_ms": handshake}
        return list((limits | _KEEPALIVE | {"grpc.max_receive_message_length": self._door.events.largest}).items())

    def _serve(self, server: grpc.aio.Server) -> None:
        # By hand, not as generated: what strangers send is not even read.
        methods = (self._publishing.methods, self._telling.methods, self._listing.methods, self._health.methods)
        handlers = zip((*_SERVICES, health.SERVICE), methods, strict=True)
        server.add_generic_rpc_handlers(tuple(grpc.method_handlers_generic_handler(*known) for known in handlers))
        if self._reflection:
            from grpc_reflection.v1alpha import reflection  # noqa: PLC0415 - there in the local world alone

            names = (*_SERVICES, health.SERVICE, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            await self._say()

    async def _say(self) -> None:
        self._health.say(serves=await self._readiness.ready())
