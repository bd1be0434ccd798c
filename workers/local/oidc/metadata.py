"""Google's metadata server, as far as an identity token of the attached service account goes.

Source: https://cloud.google.com/compute/docs/instances/verifying-instance-identity and
https://cloud.google.com/compute/docs/metadata/querying-metadata: every request bears `Metadata-Flavor: Google` and no
`X-Forwarded-For`, and so does every answer. Google's own libraries find it by GCE_METADATA_HOST.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

Sign = Callable[[Mapping[str, Any]], str]
_FLAVOR = {"Metadata-Flavor": "Google"}
_SERVICE_ACCOUNTS = "/computeMetadata/v1/instance/service-accounts"


class MetadataServer:
    """The routes of the metadata server. `account`: the e-mail address of the attached service account."""

    def __init__(self, account: str, sign: Sign) -> None:
        self._account = account
        self._unique_id = str(int.from_bytes(hashlib.sha256(account.encode()).digest()[:8], "big"))
        self._sign = sign

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/", self._ping),
            web.get("/computeMetadata/v1/", self._ping),
            web.get(f"{_SERVICE_ACCOUNTS}/{{account}}/", self._describe),
            web.get(f"{_SERVICE_ACCOUNTS}/{{account}}/email", self._email),
            web.get(f"{_SERVICE_ACCOUNTS}/{{account}}/identity", self._identity),
        ]

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="computeMetadata/\n", headers=_FLAVOR)

    async def _describe(self, request: web.Request) -> web.Response:
        self._admit(request)
        described = {"aliases": ["default"], "email": self._account, "scopes": []}
        return web.json_response(described, headers=_FLAVOR)

    async def _email(self, request: web.Request) -> web.Response:
        self._admit(request)
        return web.Response(text=self._account, headers=_FLAVOR)

    async def _identity(self, request: web.Request) -> web.Response:
        self._admit(request)
        audience = request.query.get("audience")
        if not audience:
            raise web.HTTPBadRequest(text="non-empty audience parameter required", headers=_FLAVOR)
        claims: dict[str, Any] = {"aud": audience, "azp": self._unique_id, "sub": self._unique_id}
        if request.query.get("format") == "full":
            claims |= {"email": self._account, "email_verified": True}
        return web.Response(text=self._sign(claims), headers=_FLAVOR)

    def _admit(self, request: web.Request) -> None:
        """Refuse what a browser or a proxy was made to send, and accounts that are not attached."""
        if request.headers.get("Metadata-Flavor") != "Google" or "X-Forwarded-For" in request.headers:
            raise web.HTTPForbidden(text="send the header Metadata-Flavor: Google", headers=_FLAVOR)
        if request.match_info["account"] not in {"default", self._account}:
            raise web.HTTPNotFound(text="the service account was not found", headers=_FLAVOR)
