"""A provider of people on a free port: OpenID Connect's code flow with PKCE, and GitHub's OAuth, as both document them.

It really checks: client, secret, redirect URI, a code that is good once, and the verifier of its challenge.
"""

import hashlib
import html
import secrets
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import urlencode

import jwt
from aiohttp import web

from tests.gateway.issuer import LocalIssuer

CLIENT, SECRET = "console-client", "canary-client-secret"


class PeopleProvider(LocalIssuer):
    """Says that whoever comes is `person`; `refuses`: it lets nobody in."""

    def __init__(self) -> None:
        super().__init__()
        self.person: dict[str, Any] = {"sub": "1001", "email": "alice@example.com"}
        self.refuses = False
        self.changed: dict[str, Any] = {}
        """Claims that an ID token has instead of the right ones; None leaves one out."""
        self.secret = SECRET
        self._codes: dict[str, dict[str, str]] = {}

    def routes(self) -> list[web.RouteDef]:
        """Return what is served besides the key set."""
        return [
            web.get("/.well-known/openid-configuration", self._describe),
            web.get("/authorize", self._authorize),
            web.post("/token", self._token),
            web.get("/user", self._user),
            web.get("/chat", self._chat),
        ]

    @property
    def endpoints(self) -> dict[str, str]:
        """Where everything is."""
        return {
            "authorization_endpoint": f"{self.elsewhere}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/user",
        }

    @property
    def elsewhere(self) -> str:
        """The same server under a name that is another site than 127.0.0.1."""
        return self.url.replace("127.0.0.1", "localhost")

    async def _chat(self, request: web.Request) -> web.Response:
        """Show a link that somebody sent."""
        link = f'<a href="{html.escape(request.query["to"])}">look at this</a>'
        return web.Response(text=f"<!doctype html><title>chat</title>{link}", content_type="text/html")

    async def _describe(self, _: web.Request) -> web.Response:
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/.well-known/jwks"} | self.endpoints)

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        answer = {"state": asked["state"], "error": "access_denied"}
        if not self.refuses:
            code = secrets.token_urlsafe(16)
            self._codes[code] = asked
            answer = {"state": asked["state"], "code": code}
        raise web.HTTPFound(f"{asked['redirect_uri']}?{urlencode(answer)}")

    async def _token(self, request: web.Request) -> web.Response:
        said = await request.post()
        asked = self._codes.pop(str(said.get("code")), None)
        challenge = urlsafe_b64encode(hashlib.sha256(str(said.get("code_verifier")).encode()).digest()).decode()
        is_client = (said.get("client_id"), said.get("client_secret")) == (CLIENT, self.secret)
        if not is_client:
            return web.json_response({"error": "invalid_client"}, status=401)
        if asked is None or asked["redirect_uri"] != said.get("redirect_uri"):
            return web.json_response({"error": "invalid_grant"}, status=400)
        if asked["code_challenge"] != challenge.rstrip("="):
            return web.json_response({"error": "invalid_grant"}, status=400)
        token: dict[str, Any] = {"access_token": "canary-access", "token_type": "bearer"}
        if "openid" in asked.get("scope", ""):
            claims = self.claims(aud=CLIENT, nonce=asked["nonce"], **self.person) | self.changed
            given = {name: value for name, value in claims.items() if value is not None}
            token["id_token"] = jwt.encode(given, self.keys["key-1"], algorithm="RS256", headers={"kid": "key-1"})
        return web.json_response(token)

    async def _user(self, request: web.Request) -> web.Response:
        if request.headers.get("authorization") != "Bearer canary-access":
            return web.json_response({"message": "Requires authentication"}, status=401)
        return web.json_response({"id": int(self.person["sub"]), "login": "alice"})
