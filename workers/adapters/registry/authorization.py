"""Authorization headers: obtained when asked for, kept until shortly before they expire, never logged."""

import asyncio
import base64
import json
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from yarl import URL

from workers.adapters.registry.challenge import Challenge
from workers.adapters.registry.transport import Answer, Transport, authority
from workers.adapters.secrets import SecretReader
from workers.adapters.statuses import failure
from workers.failures import Denied, Unavailable
from workers.registries import SETTING, RegistryAccess, is_loopback

GoogleToken = Callable[[], Awaitable[str]]
"""Returns an OAuth access token of this process's own Google identity."""

_GOOGLE_USER = "oauth2accesstoken"
_BASIC_LIFETIME = 300.0
"""Seconds for which a password is not read again."""
_TOKEN_LIFETIME = 60.0
"""Seconds that a token lives whose issuer says nothing: the token protocol's default."""
_LONGEST_LIFETIME = 3600.0
_MARGIN = 0.2
"""Share of its lifetime at the end of which a header is not used any more; at most `_LONGEST_MARGIN`."""
_LONGEST_MARGIN = 30.0
_KEPT = 1024
_TOKEN_ANSWER = 256 << 10
_TOKEN = re.compile(r"[\x21-\x7e]+")
_OK, _UNAUTHORIZED, _FORBIDDEN = 200, 401, 403


@dataclass(frozen=True, slots=True)
class _Header:
    value: str
    expires: float


class Authorizations:
    """The headers of all registries, by host and repository."""

    def __init__(
        self,
        transport: Transport,
        *,
        read_secret: SecretReader,
        google_token: GoogleToken | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._read_secret = read_secret
        self._google_token = google_token
        self._clock = clock
        self._headers: OrderedDict[tuple[str, str], _Header] = OrderedDict()
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def kept(self, access: RegistryAccess, path: str) -> str | None:
        """Return the header that is still good for a repository, if there is one."""
        header = self._headers.get((access.host, path))
        return header.value if header and header.expires > self._clock() else None

    async def obtain(self, access: RegistryAccess, path: str, challenge: Challenge, *, refused: str | None) -> str:
        """Answer a challenge; `refused` is the header that did not do. Concurrent callers share one request.

        Raises Denied, QuotaExhausted and Unavailable.
        """
        key = (access.host, path)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            kept = self.kept(access, path)
            if kept is not None and kept != refused:
                return kept
            value, lifetime = await self._answer(access, path, challenge)
            margin = min(lifetime * _MARGIN, _LONGEST_MARGIN)
            self._headers[key] = _Header(value, self._clock() + lifetime - margin)
            self._headers.move_to_end(key)
            while len(self._headers) > _KEPT:
                self._headers.popitem(last=False)
            return value

    async def _answer(self, access: RegistryAccess, path: str, challenge: Challenge) -> tuple[str, float]:
        if challenge.scheme == "bearer":
            return await self._token(access, path, challenge)
        basic = await self._basic(access)
        if basic is None:
            raise Denied(f"{access.host} wants a user name and a password: set them for it in {SETTING}")
        return basic, _BASIC_LIFETIME

    async def _basic(self, access: RegistryAccess) -> str | None:
        if access.google:
            if self._google_token is None:
                raise Denied(f"{access.host} is listed with `google`, but this process has no Google identity")
            user, password = _GOOGLE_USER, await self._google_token()
        elif access.username is not None and access.password is not None:
            user, password = access.username, await self._read_secret(access.password)
        else:
            return None
        return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

    async def _token(self, access: RegistryAccess, path: str, challenge: Challenge) -> tuple[str, float]:
        realm = _listed_realm(access, challenge.parameters.get("realm", ""))
        # Only what is needed is asked for, whatever scope the challenge names.
        query = {"scope": f"repository:{path}:pull"}
        if service := challenge.parameters.get("service"):
            query["service"] = service
        basic = await self._basic(access)
        headers = {"Authorization": basic} if basic else {}
        answer = await self._transport.ask(realm.update_query(query), headers=headers, limit=_TOKEN_ANSWER)
        if answer.status != _OK:
            raise failure(
                answer.status,
                _token_refusal(access, path, realm, answer.status),
                retry_after=answer.headers.get("retry-after"),
            )
        return _read_token(realm, answer)


def _listed_realm(access: RegistryAccess, realm: str) -> URL:
    try:
        url = URL(realm)
        host = authority(url)
    except ValueError:
        url, host = URL(), ""
    if not url.host or url.scheme not in {"http", "https"} or url.user or url.password:
        raise Unavailable(f"{access.host} asks for a token but names no realm that is a URL")
    if host not in {access.host, *access.token_hosts}:
        raise Denied(
            f"token realm {host} of {access.host} is not on a listed host: if tokens for {access.host} really come"
            f" from there, add it to `token_hosts` of that entry in {SETTING}"
        )
    plain_is_fine = access.insecure and (host == access.host or access.insecure_remote or is_loopback(host))
    if url.scheme == "http" and not plain_is_fine:
        raise Denied(f"token realm {host} of {access.host} is on plain HTTP, which shows the credentials: refused")
    return url.with_fragment(None)


def _token_refusal(access: RegistryAccess, path: str, realm: URL, status: int) -> str:
    host = authority(realm)
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        return (
            f"{host} gives no token to pull {access.host}/{path}: check the credentials of {access.host} in {SETTING}"
            " and their permission to pull"
        )
    if status in range(300, 400):
        return f"{host} redirects the request for a token, and credentials never follow a redirect"
    return f"{host} gives no token for {access.host}/{path}: it answered {status}"


def _read_token(realm: URL, answer: Answer) -> tuple[str, float]:
    try:
        fields = json.loads(answer.body)
        token = fields.get("token") or fields.get("access_token")
        lifetime = float(fields.get("expires_in") or _TOKEN_LIFETIME)
    except (ValueError, TypeError, AttributeError, RecursionError):
        token, lifetime = None, 0.0
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise Unavailable(f"{authority(realm)} answered the request for a token with something that is none")
    return f"Bearer {token}", min(max(lifetime, 0.0), _LONGEST_LIFETIME)
