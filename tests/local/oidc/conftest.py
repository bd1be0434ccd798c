"""Issuers on a free port, and somebody who asks them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from workers.local.oidc import OidcIssuers

WORLD_TOKEN = "token-of-the-world"
DOOR = "https://sealane.example.com"


class Client:
    """Asks the issuers as a CI system, a job and a door do."""

    def __init__(self, issuers: OidcIssuers, session: aiohttp.ClientSession) -> None:
        self.issuers = issuers
        self._session = session

    async def ask(
        self, path: str, method: str = "GET", token: str | None = None, body: Any = None, **headers: str
    ) -> tuple[int, str]:
        """Return status and text of an answer; in names of headers `_` is `-`."""
        url = path if path.startswith("http") else f"{self.issuers.url}{path}"
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        async with self._session.request(method, url, json=body, headers=given) as answer:
            return answer.status, await answer.text()

    async def believed(self, name: str, token: str, audience: str = DOOR) -> dict[str, Any]:
        """Return the claims of a token as a relying party believes them: all it knows is the issuer's URL."""
        _, text = await self.ask(f"{self.issuers.issuer(name)}/.well-known/openid-configuration")
        discovered = json.loads(text)
        assert discovered["issuer"] == self.issuers.issuer(name)
        _, key_set = await self.ask(discovered["jwks_uri"])
        keys = jwt.PyJWKSet.from_json(key_set)
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=discovered["id_token_signing_alg_values_supported"],
            audience=audience,
            issuer=discovered["issuer"],
            options={"require": ["iss", "sub", "aud", "exp", "iat", "nbf"]},
        )
        return claims


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """Give somebody who asks issuers that run."""
    async with OidcIssuers(tmp_path / "oidc", token=WORLD_TOKEN) as issuers, aiohttp.ClientSession() as session:
        yield Client(issuers, session)
