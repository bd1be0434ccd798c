"""The registry as a server."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Self

from aiohttp import web

from workers.local.loopback import Loopback
from workers.local.registry.access import ask_for_token, errors_as_json, play_faults
from workers.local.registry.blobs import BlobRoutes
from workers.local.registry.contents import Announce, ContentRoutes
from workers.local.registry.faults import Faults
from workers.local.registry.storage import Storage
from workers.local.registry.tokens import TokenAuthority
from workers.local.registry.uploads import Uploads

MANIFEST_LIMIT = 4 << 20
"""Bytes; the specification asks registries to take at least 4 MiB."""
BLOB_LIMIT = 16 << 30
"""Bytes."""


class Registry:
    """An OCI registry below one folder, on plain HTTP.

    `data`: its folder, created where missing; one running registry per folder.
    `credentials`: user → password. With None nothing is guarded; otherwise every request needs a token.
    `permissions`: user → actions out of pull, push and delete; a user who is not in it may do all.
    `announce`: hears of every manifest and tag that comes or goes, by whole references.
    `token_lifetime`: seconds. `manifest_limit`, `blob_limit`: bytes.
    """

    def __init__(
        self,
        data: Path,
        *,
        credentials: Mapping[str, str] | None = None,
        permissions: Mapping[str, Collection[str]] | None = None,
        faults: Faults | None = None,
        announce: Announce | None = None,
        token_lifetime: int = 300,
        manifest_limit: int = MANIFEST_LIMIT,
        blob_limit: int = BLOB_LIMIT,
    ) -> None:
        self.faults = faults or Faults()
        self._authority: TokenAuthority | None = None
        if credentials is not None:
            self._authority = TokenAuthority(credentials, permissions=permissions, lifetime=token_lifetime)
        self._announce = announce
        self._data = data
        self._manifest_limit = manifest_limit
        self._blob_limit = blob_limit
        self._server = Loopback("the registry")

    @property
    def port(self) -> int:
        """The port it listens on. Raises RuntimeError before `start`."""
        return self._server.port

    @property
    def host(self) -> str:
        """HOST:PORT, as it stands at the beginning of an image reference."""
        return f"127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one. Raises OSError if the port is taken."""
        await self._server.start(self._application(), port)

    async def stop(self) -> None:
        """Stop listening and end what is open; stopped already is fine."""
        await self._server.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _application(self) -> web.Application:
        storage = Storage(self._data)
        uploads = Uploads(self._data, storage, limit=self._blob_limit)
        application = web.Application(
            middlewares=[errors_as_json(), play_faults(self.faults), ask_for_token(self._authority, self.faults)]
        )
        application.add_routes(
            [web.get("/v2/", self._base), web.get("/v2", self._base), web.get("/token", self._token)]
        )
        application.add_routes(BlobRoutes(storage, uploads, self.faults).routes())
        contents = ContentRoutes(storage, self.faults, limit=self._manifest_limit, announce=self._tell)
        application.add_routes(contents.routes())
        return application

    def _tell(self, change: Mapping[str, str]) -> None:
        """Announce a change with whole references."""
        if self._announce is not None:
            action = {"action": change["action"]}
            self._announce(action | {what: f"{self.host}/{change[what]}" for what in change if what != "action"})

    async def _base(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _token(self, request: web.Request) -> web.Response:
        if self._authority is None:
            raise web.HTTPNotFound
        scopes = request.query.getall("scope", [])
        return web.json_response(self._authority.issue(request.headers.get("Authorization", ""), scopes))
