"""A local OIDC issuer: a real key set over HTTP, and tokens signed with its keys, claims as GitHub documents them."""

import json
import time
from types import TracebackType
from typing import Any, Self

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

AUDIENCE = "https://sealane.example.com"


class LocalIssuer:
    """Serves /.well-known/jwks on a free port of 127.0.0.1 while the block runs; `asked` counts the fetches."""

    def __init__(self) -> None:
        self.keys = {"key-1": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        self.asked = 0
        self.status = 200
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        application = web.Application()
        application.router.add_get("/.well-known/jwks", self._key_set)
        application.add_routes(self.routes())
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        if self._runner is not None:
            await self._runner.cleanup()

    def routes(self) -> list[web.RouteDef]:
        """Return what is served besides the key set."""
        return []

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return the claims of a job on the main branch of acme/shop; None leaves one out."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "repo:acme/shop:ref:refs/heads/main",
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "jti": f"jti-{time.monotonic_ns()}",
            "repository": "acme/shop",
            "repository_id": "1296269",
            "repository_owner_id": "583231",
            "ref": "refs/heads/main",
            "event_name": "push",
            "job_workflow_ref": "acme/shop/.github/workflows/release.yml@refs/heads/main",
            "runner_environment": "github-hosted",
        } | changed
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, *, kid: str = "key-1", signed_by: str = "key-1", **changed: Any) -> str:
        """Return a signed token."""
        return jwt.encode(self.claims(**changed), self.keys[signed_by], algorithm="RS256", headers={"kid": kid})

    async def _key_set(self, _: web.Request) -> web.Response:
        self.asked += 1
        keys = [
            json.loads(RSAAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig", "alg": "RS256"}
            for kid, key in self.keys.items()
        ]
        return web.json_response({"keys": keys}, status=self.status)
