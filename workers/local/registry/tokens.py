"""Token authentication: who one is, what a token lets one do, and the challenge that sends one to get a token.

The protocol is that of the Docker registry (https://distribution.github.io/distribution/spec/auth/token/). A token is
JSON and its HMAC-SHA256, both url-safe base64. The key lives as long as the process: after a restart, clients are
challenged again.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from workers.local.registry.errors import RegistryError

ACTIONS = frozenset({"pull", "push", "delete"})
Grants = Mapping[str, frozenset[str]]
"""Repository → actions."""


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class TokenAuthority:
    """Checks passwords, issues tokens and reads them back.

    `credentials`: user → password. `permissions`: user → actions out of pull, push and delete, on every repository;
    a user who is not in it may do all. `lifetime` of a token: seconds.
    """

    def __init__(
        self,
        credentials: Mapping[str, str],
        *,
        permissions: Mapping[str, Collection[str]] | None = None,
        lifetime: int = 300,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = dict(credentials)
        self._permissions = {user: frozenset(actions) for user, actions in (permissions or {}).items()}
        self._lifetime = lifetime
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def issue(self, authorization: str, scopes: Iterable[str]) -> dict[str, Any]:
        """Return the answer of the token endpoint: what was asked for, less what the user may not.

        Raises UNAUTHORIZED for a missing or wrong password, UNSUPPORTED for a scope that cannot be read.
        """
        user = self._user(authorization)
        allowed = self._permissions.get(user, ACTIONS)
        now = self._clock()
        grants: dict[str, list[str]] = {}
        for scope in " ".join(scopes).split():
            name, asked = _read_scope(scope)
            granted = allowed if "*" in asked else allowed & asked
            grants[name] = sorted(granted | set(grants.get(name, ())))
        claims = {"sub": user, "exp": now + self._lifetime, "grants": grants, "id": secrets.token_hex(8)}
        payload = _encode(json.dumps(claims).encode())
        token = f"{payload}.{_encode(self._mac(payload))}"
        issued = datetime.fromtimestamp(now, UTC).isoformat()
        return {"token": token, "access_token": token, "expires_in": self._lifetime, "issued_at": issued}

    def read(self, authorization: str) -> Grants | None:
        """Return what a Bearer header grants, or None if it is no token of ours, or no longer."""
        scheme, _, token = authorization.partition(" ")
        payload, _, mac = token.strip().partition(".")
        try:
            genuine = hmac.compare_digest(self._mac(payload), _decode(mac))
        except ValueError:
            return None
        if scheme.lower() != "bearer" or not genuine:
            return None
        claims = json.loads(_decode(payload))
        if claims["exp"] <= self._clock():
            return None
        return {name: frozenset(actions) for name, actions in claims["grants"].items()}

    def _user(self, authorization: str) -> str:
        scheme, _, encoded = authorization.partition(" ")
        try:
            user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except ValueError:
            user = password = ""
        expected = self._credentials.get(user)
        same = hmac.compare_digest((expected or "").encode(), password.encode())
        if scheme.lower() != "basic" or expected is None or not same:
            headers = {"WWW-Authenticate": 'Basic realm="sealane"'}
            raise RegistryError("UNAUTHORIZED", "a token is given for a user name and password", headers=headers)
        return user

    def _mac(self, payload: str) -> bytes:
        return hmac.digest(self._key, payload.encode(), hashlib.sha256)


def _read_scope(scope: str) -> tuple[str, frozenset[str]]:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    if kind != "repository" or not name:
        raise RegistryError("UNSUPPORTED", "a scope is repository:NAME:ACTIONS", status=400)
    return name, frozenset(actions.split(","))


def challenge(realm: str, service: str, scope: str | None, error: str | None) -> RegistryError:
    """Return the refusal that sends a client to the token endpoint."""
    parts = {"realm": realm, "service": service, "scope": scope, "error": error}
    header = ",".join(f'{key}="{value}"' for key, value in parts.items() if value)
    return RegistryError("UNAUTHORIZED", "a token is needed", headers={"WWW-Authenticate": f"Bearer {header}"})
