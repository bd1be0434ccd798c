"""The GitHub App and its installations: what is shown to GitHub.

Source: docs.github.com, "Authenticating with a GitHub App": a JWT signed by the App's key (RS256, at most ten minutes),
installation tokens that say themselves when they end. A token is opaque, whatever it looks like; that neither is ever
written is up to `workers.redaction`, which knows their shapes.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt

from workers.adapters.github.client import Credential, GithubClient
from workers.adapters.secrets import SecretReader, read_secret
from workers.failures import Denied, Invalid, NotFound, Unavailable
from workers.github_rules import SETTING, GithubSettings
from workers.ports.github import Repository

_SKEW = 60
_JWT_LIFETIME = 540
_JWT_AGE = 300
"""Seconds: how far our clock may be ahead of GitHub's, how long a JWT is good, and how long it is used."""
_MARGIN = 300
"""Seconds before a token's end from which a new one is used."""
_PERMISSIONS = {"contents": "read", "metadata": "read"}


@dataclass(frozen=True, slots=True)
class _Token:
    credential: Credential
    expires_at: float


class AppCredentials:
    """Shows GitHub who we are. `now`: Unix seconds."""

    def __init__(
        self,
        settings: GithubSettings,
        client: GithubClient,
        *,
        secrets: SecretReader = read_secret,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._client = client
        self._secrets = secrets
        self._now = now
        self._app: _Token | None = None
        self._tokens: dict[int, _Token] = {}
        self._locks: dict[int, asyncio.Lock] = {}

    @property
    def configured(self) -> bool:
        """Whether there is an App."""
        return self._settings.app_id is not None

    async def app(self) -> Credential:
        """Return the App's own credential. Raises Invalid without an App, and what reading its key raises."""
        if self._app is None or self._app.expires_at <= self._now():
            if self._settings.app_id is None or self._settings.private_key is None:
                raise Invalid(
                    f"GitHub must be asked, and no GitHub App is set: put `app_id` and `private_key` into {SETTING}"
                )
            key = await self._secrets(self._settings.private_key)
            now = int(self._now())
            claims = {"iat": now - _SKEW, "exp": now + _JWT_LIFETIME - _SKEW, "iss": self._settings.app_id}
            try:
                signed = jwt.encode(claims, key, algorithm="RS256")
            except (ValueError, TypeError, jwt.PyJWTError):
                raise Invalid(
                    f"{self._settings.private_key} holds no RSA private key in PEM: download it anew"
                ) from None
            self._app = _Token(Credential("app", jwt=signed), now + _JWT_AGE)
        return self._app.credential

    async def installation(self, repository: Repository) -> Credential:
        """Return a credential that may read one repository and nothing else. Raises what `GithubClient` raises."""
        async with self._locks.setdefault(repository.id, asyncio.Lock()):
            known = self._tokens.get(repository.id)
            if known is None or known.expires_at - _MARGIN <= self._now():
                known = self._tokens[repository.id] = await self._new(repository)
            return known.credential

    def forget(self, repository: Repository) -> None:
        """Forget the credential of a repository: GitHub takes it no more."""
        self._tokens.pop(repository.id, None)

    async def _new(self, repository: Repository) -> _Token:
        """Return a new token; where the installation is not known, of the first that may read the repository."""
        if repository.installation_id is not None:
            return await self._token_of(repository.installation_id, repository)
        page: str | None = "/app/installations?per_page=100"
        while page is not None:
            answer = await self._client.get(page, await self.app())
            for installation in _ids(answer.data):
                with suppress(NotFound, Denied):
                    return await self._token_of(installation, repository)
            page = answer.next_page
        raise NotFound(f"no installation of the GitHub App may read repository {repository.id}: install it there")

    async def _token_of(self, installation: int, repository: Repository) -> _Token:
        answer = await self._client.post(
            f"/app/installations/{installation}/access_tokens",
            await self.app(),
            {"repository_ids": [repository.id], "permissions": _PERMISSIONS},
            lookup=True,
        )
        try:
            token, ends = answer.data["token"], datetime.fromisoformat(answer.data["expires_at"])
        except (KeyError, TypeError, ValueError):
            raise Unavailable("GitHub answers the request for an installation token with something else") from None
        return _Token(Credential(f"repository {repository.id}", token=token), ends.timestamp())


def _ids(installations: Any) -> list[int]:
    try:
        return [int(installation["id"]) for installation in installations]
    except (KeyError, TypeError, ValueError):
        raise Unavailable("GitHub lists something that is no installation of the App") from None
