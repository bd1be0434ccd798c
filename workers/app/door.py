"""The door as a process opens it: `sealane gateway` by itself, `sealane up` beside the local world."""

import errno
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY

from workers.adapters.key_sets import fetch_key_set
from workers.adapters.secrets import read_secret
from workers.app.connecting import open_bus
from workers.app.console import console_at_home, open_console
from workers.app.console_link import PERSON
from workers.app.environment import joined_world
from workers.app.health import HealthServer
from workers.app.logs import configure_logs
from workers.app.open_files import allow_open_files
from workers.app.stopping import StoppedEarly, stop_on_signals, unless_stopped
from workers.app.waiting import wait_for_connection, wait_for_world
from workers.bus.engine.collector import settle
from workers.bus.rooms import all_wirings
from workers.bus.topology.permissions import GATEWAY, doors
from workers.bus.transport.connection import Connection
from workers.failures import Invalid, Unavailable
from workers.gateway.callers import hash_of
from workers.gateway.health import examine
from workers.gateway.page import render
from workers.gateway.principals import Grant, Policy, Principal, Sight, read_policy
from workers.gateway.protocol import MOST_CONNECTIONS
from workers.gateway.rpc.certificates import CertificateFiles, Certificates
from workers.gateway.rpc.server import RpcDoor
from workers.gateway.server import Door
from workers.gateway.webhooks.keyring import Keyring
from workers.local.folder import WorldFolder
from workers.redaction import conceal
from workers.settings import Settings

log = logging.getLogger(__name__)
DOOR_PORTS = ("http", "grpc", "metrics")
"""What the folder of a local world keeps a port for, and the settings name one for."""
OFF = -1
"""The port of what shall not listen."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Where a door listens; None where it does not."""

    http: str
    grpc: str | None
    metrics: str | None

    @property
    def places(self) -> list[tuple[str, str]]:
        """What listens, and where."""
        known = (("HTTP", self.http), ("gRPC", self.grpc), ("metrics", self.metrics))
        return [(name, place) for name, place in known if place is not None]


async def run_gateway(data: Path | None) -> None:
    """Open the door until SIGTERM or SIGINT, then answer what is under way. Raises SealaneError when it cannot open."""
    configure_logs(Settings().log_level)
    stop = stop_on_signals()
    try:
        settings = await unless_stopped(stop, wait_for_world(data))
        joined = joined_world(data)
        if joined is None:
            policy = policy_of(settings)
        else:
            policy = local_policy(settings, *joined)
            settings = console_at_home(at_home(settings, joined[0].kept_ports()), joined[0])
        await unless_stopped(stop, wait_for_connection(settings, GATEWAY))
    except StoppedEarly:
        return
    async with open_door(settings, policy, reflection=joined is not None) as opened:
        settle()
        where = ", ".join(f"{name} {place}" for name, place in opened.places)
        log.info("ready: the door for %d principals; %s", len(policy.principals), where)
        if not policy.principals:
            log.warning("nobody may bring events here: SEALANE_PRINCIPALS names no principal")
        await stop.wait()
        log.info("stopping: what is under way is answered")
    log.info("stopped: the door")


def policy_of(settings: Settings) -> Policy:
    """Return who may publish what, as the settings say. Raises Invalid."""
    return read_policy(settings.principals).within(doors(all_wirings().values()))


def local_policy(settings: Settings, world: WorldFolder, endpoints: Mapping[str, Any]) -> Policy:
    """Return it with those who are known in a local world besides: whoever may read its folder, and one repository."""
    from workers.app.local_repository import with_local_repository  # noqa: PLC0415 - only where a local world is

    policy = policy_of(settings).with_principal(_newcomer(world, doors(all_wirings().values())))
    return with_local_repository(policy, endpoints)


def at_home(settings: Settings, ports: Mapping[str, int]) -> Settings:
    """Return the settings with the ports that the folder of a local world keeps for its door."""
    kept = {f"{name}_port": ports[name] for name in DOOR_PORTS}
    home = {"http_host": "127.0.0.1", "metrics_host": "127.0.0.1"}
    return settings.model_copy(update=kept | home)


def _newcomer(world: WorldFolder, types: tuple[str, ...]) -> Principal:
    """Return whoever may read the folder: it may bring whatever comes through a door, see all, and act."""
    key = world.api_key()
    conceal(key)
    grants = tuple(Grant(type=event_type) for event_type in types)
    return Principal(
        name=PERSON, api_keys=(hash_of(key),), may_publish=grants, may_see=(Sight(),), may_act=True, rate=6000
    )


def certificates_of(settings: Settings) -> Certificates | None:
    """Return what the door over gRPC proves itself with, None for plain text. Raises Invalid when half is missing."""
    certificate, key, roots = settings.grpc_certificate, settings.grpc_key, settings.grpc_client_ca
    if certificate is None or key is None:
        if certificate or key or roots:
            raise Invalid("TLS over gRPC needs SEALANE_GRPC_CERTIFICATE and SEALANE_GRPC_KEY: set both, or neither")
        return None
    return Certificates(CertificateFiles(certificate, key, roots), read_secret)


@asynccontextmanager
async def open_door(settings: Settings, policy: Policy, *, reflection: bool = False) -> AsyncIterator[Opened]:
    """Hold the door open while the block runs; at its end what is under way is answered, within the grace.

    `reflection`: whether it tells over gRPC what it serves. Raises Unavailable when a port is taken, Invalid when TLS
    is not as it must be, and what `open_bus` raises.
    """
    allow_open_files(2 * MOST_CONNECTIONS)
    async with AsyncExitStack() as stack:
        connection = await open_bus(settings, GATEWAY)
        stack.push_async_callback(connection.close)
        github = Keyring(settings.github.secrets, read_secret)
        grace = settings.grace.total_seconds()
        console = await stack.enter_async_context(open_console(settings))
        door = Door(connection, policy, fetch_key_set, github=github, console=console, grace=grace)
        metrics = await _open_metrics(settings, connection, door, stack)
        port = await _listen(door.start, settings.http_port, settings.http_host, "HTTP")
        stack.push_async_callback(door.stop)
        grpc = None
        if settings.grpc_port != OFF:
            certificates = certificates_of(settings)
            rpc = RpcDoor(connection, door, certificates=certificates, reflection=reflection, grace=grace)
            grpc = f"{settings.http_host}:{await _listen(rpc.start, settings.grpc_port, settings.http_host, 'GRPC')}"
            stack.push_async_callback(rpc.stop)
        yield Opened(f"http://{settings.http_host}:{port}", grpc, metrics)


async def _open_metrics(settings: Settings, connection: Connection, door: Door, stack: AsyncExitStack) -> str | None:
    """Serve metrics and the health page, on a port that is nobody's but the operator's."""
    REGISTRY.register(door.metrics)
    stack.callback(REGISTRY.unregister, door.metrics)
    if settings.metrics_port == OFF:
        return None

    async def live() -> tuple[bool, dict[str, object]]:
        alive = not connection.client.is_connected or await connection.alive() is not None
        return alive, {"live": alive}

    async def ready() -> tuple[bool, dict[str, object]]:
        found = await examine(connection)
        is_ready = found.ready and not door.stopping
        return is_ready, found.as_json() | {"ready": is_ready}

    async def page() -> tuple[int, str, bytes]:
        return 200, "text/html; charset=utf-8", render(await examine(connection)).encode()

    server = HealthServer(live, ready, {"/": page})
    port = await _listen(server.start, settings.metrics_port, settings.metrics_host, "METRICS")
    stack.push_async_callback(server.stop)
    return f"http://{settings.metrics_host}:{port}/metrics"


async def _listen(start: Callable[[int, str], Awaitable[int]], port: int, host: str, name: str) -> int:
    """Return the port. Raises Unavailable when it is taken."""
    try:
        return await start(port, host)
    except (OSError, RuntimeError) as error:
        what = f"the door cannot listen on {host}:{port}"
        if isinstance(error, OSError) and error.errno != errno.EADDRINUSE:
            owner = "METRICS" if name == "METRICS" else "HTTP"
            reason = f"{error.strerror or error}: correct SEALANE_{owner}_HOST or SEALANE_{name}_PORT"
            raise Unavailable(f"{what}: {reason}") from error
        raise Unavailable(f"{what}: free that port, or set SEALANE_{name}_PORT") from error
