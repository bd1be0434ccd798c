"""The world in a box, put together: nats-server with derived permissions, streams, local clouds, the door, workers.

`start` brings it up in the order in which each part needs the one before, `stop` takes it down the other way round.
"""

import asyncio
import contextlib
import logging
import sys
from contextlib import AsyncExitStack
from typing import Any, Self

from workers.app.connecting import open_bus
from workers.app.console import console_at_home
from workers.app.door import DOOR_PORTS, at_home, local_policy, open_door
from workers.app.environment import overlay, world_environment
from workers.app.local_github import describe_github, greet_door, local_github
from workers.app.shell import door_login
from workers.bus.rooms import all_wirings
from workers.bus.topology.identities import ensure_identities
from workers.bus.topology.permissions import PROVISIONER, derive, render
from workers.bus.topology.provision import apply
from workers.bus.topology.streams import topology
from workers.failures import Unavailable
from workers.local.announcing import Announcer
from workers.local.children import Child
from workers.local.folder import FolderError, WorldFolder
from workers.local.github import Github
from workers.local.google import GoogleServices, ServedRegistry
from workers.local.nats import NatsServer, NatsServerError
from workers.local.oidc import OidcIssuers
from workers.local.registry import Announce, Registry
from workers.local.rest import GoogleRest
from workers.local.seed import Seeded, SeedError, seed, seeded
from workers.local.version import VERSION, require_world, upgrade
from workers.redaction import conceal
from workers.settings import Settings

log = logging.getLogger(__name__)
PORTS = ("nats", "google_rest", "google_grpc", "registry", "oidc", "github")
_WATCH, _LONGEST_WATCH = 0.2, 10.0
"""Seconds between looks at nats-server."""
REGISTRY_USER = "oauth2accesstoken"
"""As with Artifact Registry: the password is the access token."""


class World:
    """One running world in a folder. Use as an async context manager, from the main thread.

    With `announces` its registry announces every push on the topic `gcr`, as Artifact Registry does. Without
    `with_door` another process opens the door, on the ports that the folder keeps.
    """

    def __init__(
        self, folder: WorldFolder, *, with_workers: bool = True, with_door: bool = True, announces: bool = False
    ) -> None:
        self.folder = folder
        self.project = Settings().project
        self.names: Seeded = seeded(self.project)
        self.endpoints: dict[str, Any] = {}
        self.workers: Child | None = None
        self._with_workers = with_workers
        self._with_door = with_door
        self._announces = announces
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Bring everything up. Raises Unavailable with the one thing that is in the way."""
        try:
            await self._start()
        except (FolderError, NatsServerError, SeedError) as error:
            await self._stack.aclose()
            raise Unavailable(str(error)) from error
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take everything down, workers first, so that they drain while all that they need is there."""
        await self._stack.aclose()

    async def _start(self) -> None:
        if self.folder.root.is_dir():
            # The lock itself would already be a file among somebody else's.
            require_world(self.folder.root)
        await self.folder.lock()
        self._stack.callback(self.folder.unlock)
        if (older := upgrade(self.folder.root)) is not None:
            log.info("upgraded %s from version %d to %d", self.folder.root, older, VERSION)
        mine, lent = ((*PORTS, *DOOR_PORTS), ()) if self._with_door else (PORTS, DOOR_PORTS)
        ports = await self.folder.ports(mine, lent=lent)
        token = self.folder.token()
        conceal(token)
        server = await self._start_nats(ports["nats"])
        self.endpoints = self._describe(ports, server.url)
        settings = overlay(Settings(), self.folder, self.endpoints)
        await self._provision(settings)
        github = local_github(self.folder, self.endpoints["registry"])
        await self._start_clouds(ports, token, github)
        door_login(self.folder, self.endpoints["http"])
        if self._with_door:
            await self._open_door(settings, ports)
        await greet_door(github, self.endpoints)
        self.folder.publish(self.endpoints)
        if self._with_workers:
            await self._start_workers()

    async def _start_nats(self, port: int) -> NatsServer:
        permissions = derive(all_wirings().values())
        keys = ensure_identities(self.folder.root, permissions)
        server = NatsServer(self.folder.root / "nats", port=port, authorization=render(permissions, keys))
        await server.start()
        self._stack.push_async_callback(server.stop)
        watching = asyncio.create_task(_keep_running(server), name="watch nats-server")
        self._stack.push_async_callback(_cancelled, watching)
        return server

    async def _provision(self, settings: Settings) -> None:
        connection = await open_bus(settings, PROVISIONER)
        try:
            outcomes = await apply(connection, topology(all_wirings().values(), settings.retention))
        finally:
            await connection.close()
        for outcome in outcomes:
            if outcome.word == "refused":
                log.warning("not applied to the bus: %s", outcome.drift.sentence)

    async def _start_clouds(self, ports: dict[str, int], token: str, github: Github) -> None:
        try:
            files = self.folder.root / "registry"
            served = ServedRegistry(files, self.endpoints["registry"], self.names.location)
            google = GoogleServices(self.folder.root / "google", token=token, registry=served)
            await google.start(rest_port=ports["google_rest"], grpc_port=ports["google_grpc"])
            self._stack.push_async_callback(google.stop)
            registry = Registry(files, credentials={REGISTRY_USER: token}, announce=self._announcer(ports, token))
            await registry.start(ports["registry"])
            self._stack.push_async_callback(registry.stop)
            issuers = OidcIssuers(self.folder.root / "oidc", token=token)
            await issuers.start(ports["oidc"])
            self._stack.push_async_callback(issuers.stop)
            await github.start(ports["github"])
            self._stack.push_async_callback(github.stop)
        except (OSError, RuntimeError) as error:
            raise Unavailable(f"the local clouds did not start: {error}") from error
        self.names = await seed(ports["google_rest"], token, self.project)

    def _announcer(self, ports: dict[str, int], token: str) -> Announce | None:
        """Begin to announce pushes on the topic `gcr`, if that is wanted."""
        if not self._announces:
            return None
        announcer = Announcer(GoogleRest(ports["google_rest"], token), self.names.topics[0])
        self._stack.push_async_callback(announcer.stop)
        return announcer.announce

    async def _open_door(self, settings: Settings, ports: dict[str, int]) -> None:
        policy = local_policy(settings, self.folder, self.endpoints)
        await self._stack.enter_async_context(
            open_door(console_at_home(at_home(settings, ports), self.folder), policy, reflection=True)
        )

    async def _start_workers(self) -> None:
        command = (sys.executable, "-m", "workers", "worker", *sorted(all_wirings()), "--data", str(self.folder.root))
        self.workers = Child(
            "the workers",
            command,
            environment=world_environment(self.folder),
            log_file=self.folder.logs / "workers.log",
        )
        await self.workers.start()
        self._stack.push_async_callback(self.workers.stop)

    def _describe(self, ports: dict[str, int], nats: str) -> dict[str, Any]:
        registry = f"127.0.0.1:{ports['registry']}"
        names = self.names
        return {
            "nats": nats,
            "http": f"http://127.0.0.1:{ports['http']}",
            "grpc": f"127.0.0.1:{ports['grpc']}",
            "metrics": f"http://127.0.0.1:{ports['metrics']}",
            "google_rest": f"http://127.0.0.1:{ports['google_rest']}",
            "google_grpc": f"127.0.0.1:{ports['google_grpc']}",
            "registry": registry,
            "oidc": f"http://127.0.0.1:{ports['oidc']}",
            **describe_github(self.folder, ports["github"], registry),
            "registry_user": REGISTRY_USER,
            "project": self.project,
            "location": names.location,
            "token": str(self.folder.token_file),
            "api_key": str(self.folder.key_file),
            "attestor": names.attestor,
            "note": names.note,
            "key": names.key,
            "registries": [
                {
                    "host": registry,
                    "insecure": True,
                    "username": REGISTRY_USER,
                    "password": f"file://{self.folder.token_file}",
                }
            ],
            "signing_rules": [{"match": f"{registry}/**", "attestor": names.attestor, "key": names.key}],
        }


async def _keep_running(server: NatsServer) -> None:
    """Start nats-server again whenever it ends by itself; its clients reconnect, and its store is on disk."""
    wait = _WATCH
    while True:
        await asyncio.sleep(wait)
        if server.alive:
            wait = _WATCH
            continue
        log.warning("nats-server ended and starts again; see %s", server.log_file)
        try:
            await server.start()
        except NatsServerError as error:
            wait = min(2 * wait, _LONGEST_WATCH)
            log.error("%s", error)  # noqa: TRY400 - the sentence says it all


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
