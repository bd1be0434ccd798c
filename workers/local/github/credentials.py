"""Who asks: the App by its own JSON web token, an installation by a token for it, or a person by a personal token.

Sources: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app (JWT: RS256, `iat` not in
the future, `exp` at most ten minutes away, `iss` the client id or the App's id; installation tokens end after an hour).
The form of an installation token is the long one, `ghs_APPID_JWT`; nothing but this file looks into it.
"""

import hmac
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from workers.local.github.directory import Directory
from workers.local.github.errors import GithubError, bad_credentials
from workers.local.github.records import Account, App, Installation, Repository

LONGEST_ASSERTION = 600
TOKEN_LIFETIME = 3600
"""Seconds, both."""
_ALGORITHM = "HS512"
_UNDECODABLE = "A JSON web token could not be decoded"
_LEVELS = {"read": 1, "write": 2, "admin": 3}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. Nobody in particular: all is None."""

    app: App | None = None
    installation: Installation | None = None
    user: Account | None = None
    permissions: Mapping[str, str] | None = None
    """What an installation token grants."""
    repositories: frozenset[int] | None = None
    """The ids to which an installation token is narrowed; None: all that the installation sees."""
    token: str | None = None
    """The id of an installation token, for its revocation."""
    expires_at: int | None = None

    @property
    def known(self) -> bool:
        """Whether it is somebody."""
        return (self.app or self.installation or self.user) is not None

    def grants(self, permission: str, level: str) -> bool:
        """Whether the caller may do this: a person may do all."""
        if self.installation is None:
            return self.user is not None
        return permits(self.permissions or {}, permission, level)


def permits(granted: Mapping[str, str], permission: str, level: str) -> bool:
    """Whether a permission is granted at a level or above."""
    return _LEVELS.get(granted.get(permission, ""), 0) >= _LEVELS[level]


class Credentials:
    """Verifies what a client shows, and issues installation tokens.

    `personal_token`: the one of the local user, who owns all that is here. `clock`: Unix seconds.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        directory: Directory,
        clock: Callable[[], float],
        *,
        personal_token: str,
        user: Account,
    ) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock
        self._personal_token = personal_token
        self._user = user
        database.execute("INSERT OR IGNORE INTO keys VALUES ('tokens', ?)", (secrets.token_bytes(64),))
        self._key = bytes(database.execute("SELECT value FROM keys WHERE name = 'tokens'").fetchone()["value"])

    def identify(self, scheme: str, credential: str) -> Caller:
        """Return who shows this. Raises GithubError 401 or 403."""
        if hmac.compare_digest(credential.encode(), self._personal_token.encode()):
            return Caller(user=self._user)
        if credential.startswith("ghs_"):
            return self._installation(credential)
        if credential.count(".") == 2 and scheme == "bearer":  # noqa: PLR2004 - a JWT has three parts
            return Caller(app=self._assert_app(credential))
        raise bad_credentials()

    def issue(
        self, installation: Installation, permissions: Mapping[str, str], repositories: list[Repository] | None
    ) -> tuple[str, int]:
        """Return a token of an installation and when it ends (Unix seconds)."""
        app, now = self._directory.app(), int(self._clock())
        claims = {
            "iss": "github",
            "sub": str(installation.id),
            "iat": now,
            "exp": now + TOKEN_LIFETIME,
            "jti": secrets.token_urlsafe(48),
            "permissions": dict(permissions),
            "repositories": None if repositories is None else [repository.id for repository in repositories],
        }
        import jwt  # noqa: PLC0415 - many a world never sees a token

        encoded = jwt.encode(claims, self._key, algorithm=_ALGORITHM)
        return f"ghs_{app.id if app else 0}_{encoded}", now + TOKEN_LIFETIME

    def revoke(self, caller: Caller) -> None:
        """End the token of an installation before its time."""
        row = (caller.token, caller.expires_at)
        self._database.execute("INSERT OR IGNORE INTO revoked VALUES (?, ?)", row)
        self._database.execute("DELETE FROM revoked WHERE expires_at < ?", (int(self._clock()),))

    def _installation(self, credential: str) -> Caller:
        import jwt  # noqa: PLC0415 - as above

        encoded = credential.removeprefix("ghs_").partition("_")[2]
        try:
            claims = jwt.decode(
                encoded, self._key, algorithms=[_ALGORITHM], options={"verify_exp": False, "verify_iat": False}
            )
        except jwt.PyJWTError as error:
            raise bad_credentials() from error
        revoked = self._database.execute("SELECT 1 FROM revoked WHERE token = ?", (claims["jti"],)).fetchone()
        installation = self._directory.installation(int(claims["sub"]))
        if claims["exp"] <= self._clock() or revoked is not None or installation is None:
            raise bad_credentials()
        if installation.suspended_at is not None:
            raise GithubError(403, "This installation has been suspended")
        narrowed = None if claims["repositories"] is None else frozenset(claims["repositories"])
        granted = {name: level for name, level in claims["permissions"].items() if name in installation.permissions}
        return Caller(None, installation, None, granted, narrowed, claims["jti"], claims["exp"])

    def _assert_app(self, credential: str) -> App:
        """Verify an App's JWT in GitHub's order: who says it, its signature, its times."""
        import jwt  # noqa: PLC0415 - as above

        app = self._directory.app()
        try:
            issuer = _claims(credential).get("iss")
            if issuer is None:
                raise GithubError(401, "Missing 'issuer' claim ('iss') in assertion")
            if app is None or str(issuer) not in {str(app.id), app.client_id}:
                raise GithubError(404, "Integration not found")
            claims = jwt.decode(
                credential,
                app.public_key,
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_iss": False},
            )
        except jwt.PyJWTError as error:
            raise GithubError(401, _UNDECODABLE) from error
        self._check_times(claims)
        return app

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now, issued, expires = self._clock(), claims.get("iat"), claims.get("exp")
        if not _is_time(expires) or expires <= now:
            raise GithubError(
                401,
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the"
                " assertion expires",
            )
        if expires > now + LONGEST_ASSERTION:
            raise GithubError(401, "'Expiration time' claim ('exp') is too far in the future")
        if not _is_time(issued) or issued > now:
            raise GithubError(
                401,
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            )


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _claims(credential: str) -> dict[str, Any]:
    """Return the claims of a JWT before it is verified, to learn whose key it is to be verified with."""
    import jwt  # noqa: PLC0415 - as above

    claims: dict[str, Any] = jwt.decode(credential, options={"verify_signature": False})
    return claims
