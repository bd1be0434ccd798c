"""Who calls: by API key or signed token in `Authorization: Bearer …` (RFC 6750), or by a client certificate."""

import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import Any

from workers.gateway.certificates import names_of
from workers.gateway.principals import Policy, Principal
from workers.gateway.problems import forbidden, shown, unauthenticated
from workers.gateway.tokens import Bearer, Tokens
from workers.redaction import KEY_PREFIX

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]+) *", re.IGNORECASE)
SHORTEST_KEY = len(KEY_PREFIX) + 32
"""A shorter one could be found from its hash."""
NO_CLAIMS: Mapping[str, Any] = {}


def hash_of(key: str) -> str:
    """Return how a policy names an API key: keys are random and long, a plain SHA-256 hides them well."""
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def new_key() -> str:
    """Return an API key that nobody can guess: 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


class Callers:
    """Finds the principal of a request."""

    def __init__(self, policy: Policy, tokens: Tokens) -> None:
        self._keys = {key: principal for principal in policy.principals for key in principal.api_keys}
        self._certificates = {name: principal for principal in policy.principals for name in principal.certificates}
        self._tokens = tokens

    async def caller(self, authorization: str | None, certificate: bytes | None = None) -> Bearer:
        """Return who calls: what it says counts before the certificate (PEM). Raises Problem: 401, 403, 503."""
        if not authorization and certificate is not None:
            return Bearer(self._certified(certificate), NO_CLAIMS)
        if not authorization:
            raise unauthenticated("say who you are: send `Authorization: Bearer TOKEN`")
        found = _BEARER.fullmatch(authorization)
        if found is None:
            raise unauthenticated("the header Authorization is not understood: send `Bearer TOKEN`", claim="token")
        credential = found[1]
        if not credential.startswith(KEY_PREFIX):
            return await self._tokens.bearer(credential)
        # Looked up by its hash: how long that takes says nothing of a key.
        principal = self._keys.get(hash_of(credential)) if len(credential) >= SHORTEST_KEY else None
        if principal is None:
            raise unauthenticated("this API key is not, or no longer, known here", claim="api_key")
        return Bearer(principal, NO_CLAIMS)

    def _certified(self, certificate: bytes) -> Principal:
        names = names_of(certificate)
        known = (self._certificates[name] for name in names if name in self._certificates)
        found = {principal.name: principal for principal in known}
        if len(found) > 1:
            both = " and ".join(found)
            raise forbidden(f"the client certificate is that of {both}: get one for each", claim="certificate")
        if not found:
            said = shown(", ".join(names[1:]) or names[0])
            raise forbidden(f"no principal bears a client certificate for {said}", claim="certificate")
        return next(iter(found.values()))
