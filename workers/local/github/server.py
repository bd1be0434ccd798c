"""The local GitHub as a server."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from aiohttp import web

from workers.local.github.access import authenticate, errors_as_json, play_faults
from workers.local.github.credentials import Credentials
from workers.local.github.database import open_database
from workers.local.github.deliveries import PATIENCE, Deliveries
from workers.local.github.directory import Directory
from workers.local.github.documents import Documents
from workers.local.github.events import Events
from workers.local.github.faults import Faults
from workers.local.github.login import write_git_config
from workers.local.github.rates import Rates
from workers.local.github.repositories import Repositories
from workers.local.github.rest.apps import AppRoutes
from workers.local.github.rest.contents import ContentRoutes
from workers.local.github.rest.ownership import OwnerRoutes
from workers.local.github.rest.repositories import RepositoryRoutes
from workers.local.github.seed import USER, Seeded, make_files, seed, seeded
from workers.local.github.smart_http import SmartHttp
from workers.local.loopback import Loopback

_LARGEST_BODY = 40 << 20
"""Bytes of a request of the REST API."""


class Github:
    """A GitHub below one folder, on plain HTTP at 127.0.0.1: the REST API, git and webhooks on one port.

    `data`: its folder, created where missing; one running GitHub per folder. `clock`: Unix seconds. `registry`:
    HOST[:PORT] of its container packages. `patience`: seconds in which the receiver of a webhook must have answered.
    `hourly`: requests of one caller.
    """

    def __init__(
        self,
        data: Path,
        *,
        faults: Faults | None = None,
        registry: str = "ghcr.io",
        clock: Callable[[], float] = time.time,
        patience: float = PATIENCE,
        hourly: int = 5000,
    ) -> None:
        self.faults = faults or Faults()
        self.names: Seeded = seeded(data)
        self._data = data
        self._clock = clock
        self._patience = patience
        self._hourly = hourly
        self._registry = registry
        self._database: sqlite3.Connection | None = None
        self._server = Loopback("the local GitHub")
        self._parts: tuple[Directory, Deliveries, Events] | None = None

    @property
    def url(self) -> str:
        """Where the REST API is, and OWNER/NAME.git below it. Raises RuntimeError before `start`."""
        return self._server.url

    @property
    def directory(self) -> Directory:
        """Who and what there is. Raises RuntimeError before `start`."""
        return self._running()[0]

    @property
    def deliveries(self) -> Deliveries:
        """What was delivered. Raises RuntimeError before `start`."""
        return self._running()[1]

    def _running(self) -> tuple[Directory, Deliveries, Events]:
        if self._parts is None:
            raise RuntimeError("the local GitHub is not running")
        return self._parts

    async def start(self, port: int = 0) -> None:
        """Listen, with what is missing made first. Raises OSError for a port that is taken, RuntimeError."""
        await asyncio.to_thread(make_files, self._data)
        self._database = open_database(self._data)
        try:
            await self._listen(self._database, port)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening; what is on its way is delivered after the next start. Stopped already is fine."""
        await self._server.stop()
        parts, self._parts = self._parts, None
        if parts is not None:
            await parts[1].stop()
        database, self._database = self._database, None
        if database is not None:
            database.close()

    async def hook_to(self, url: str) -> None:
        """Send webhooks to a URL; a fresh one is greeted with a ping, as the settings page of an App does."""
        app = self.directory.app()
        if app is not None and app.hook_url != url:
            self.directory.set_hook(url=url)
            self._running()[2].ping()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _listen(self, database: sqlite3.Connection, port: int) -> None:
        directory, repositories = Directory(database, self._clock), Repositories(self._data / "repositories")
        seed(self.names, directory, repositories)
        deliveries = Deliveries(database, directory, self._clock, patience=self._patience)
        documents = Documents("", self._registry)
        events = Events(directory, repositories, documents, deliveries)
        token = self.names.personal_token.read_text().strip()
        credentials = Credentials(database, directory, self._clock, personal_token=token, user=USER)
        rates = Rates(self._clock, self._hourly)
        application = web.Application(
            client_max_size=_LARGEST_BODY,
            middlewares=[errors_as_json(), play_faults(self.faults), authenticate(credentials, rates)],
        )
        of = RepositoryRoutes(directory, repositories, documents)
        application.add_routes(AppRoutes(directory, credentials, deliveries, documents).routes())
        application.add_routes(OwnerRoutes(directory, repositories, documents, events, self._clock).routes())
        application.add_routes(of.routes())
        application.add_routes(ContentRoutes(of, repositories, documents, events.pushed).routes())
        application.add_routes(SmartHttp(repositories, directory, credentials, events.pushed).routes())
        self._parts = (directory, deliveries, events)
        await self._server.start(application, port)
        documents.url = self.url
        write_git_config(self.names.git_config, self.url, token)
        await deliveries.start()
