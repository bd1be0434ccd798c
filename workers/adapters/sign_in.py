"""Asks a provider who a person is: OpenID Connect's code flow with PKCE, and GitHub's OAuth, by authlib.

Sources: OpenID Connect Core 1.0 (3.1) and Discovery 1.0, RFC 6749, RFC 7636, RFC 9700; GitHub docs "Authorizing OAuth
apps". authlib's transport here is requests, which is synchronous: each call has its own thread, and people sign in
rarely. What an ID token says is verified by the door, as any token is.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from workers.console_settings import Provider
from workers.failures import Unavailable

if TYPE_CHECKING:
    from authlib.integrations.requests_client import OAuth2Session

_SECONDS = 5.0
"""That one request may take."""
_GITHUB = {
    "authorization_endpoint": "https://github.com/login/oauth/authorize",
    "token_endpoint": "https://github.com/login/oauth/access_token",
    "userinfo_endpoint": "https://api.github.com/user",
}
_NO_LOOKING_ELSEWHERE: Mapping[str, Any] = {"timeout": _SECONDS, "allow_redirects": False}


class Providers:
    """The providers of a console. `github` is where GitHub's endpoints are, for an Enterprise Server."""

    def __init__(
        self, read_secret: Callable[[str], Awaitable[str]], *, github: Mapping[str, str] | None = None
    ) -> None:
        self._read_secret = read_secret
        self._github = dict(github or _GITHUB)
        self._known: dict[str, Mapping[str, Any]] = {}

    async def begin(self, provider: Provider, issuer: str, redirect: str) -> tuple[str, dict[str, str]]:
        """Return where to send the person, and what must be known when it comes back. Raises Unavailable.

        `issuer` is the URL of the provider's issuer, `redirect` where the person comes back to.
        """
        endpoints = await self._endpoints(provider, issuer)
        begun = {"verifier": secrets.token_urlsafe(48), "nonce": secrets.token_urlsafe(24)}
        with await self._session(provider, redirect) as session:
            more = {"nonce": begun["nonce"]} if provider.kind == "oidc" else {}
            url, state = session.create_authorization_url(
                endpoints["authorization_endpoint"], code_verifier=begun["verifier"], **more
            )
        return str(url), begun | {"state": str(state)}

    async def finish(
        self, provider: Provider, issuer: str, redirect: str, begun: Mapping[str, str], code: str
    ) -> dict[str, Any]:
        """Return `{"id_token": …}`, or `{"claims": …}` of a provider without ID tokens. Raises Unavailable."""
        endpoints = await self._endpoints(provider, issuer)
        with await self._session(provider, redirect) as session:
            token = await _asked(
                lambda: session.fetch_token(
                    endpoints["token_endpoint"],
                    code=code,
                    code_verifier=begun["verifier"],
                    headers={"accept": "application/json"},
                    **_NO_LOOKING_ELSEWHERE,
                ),
                provider,
            )
            if provider.kind == "oidc":
                return {"id_token": str(token.get("id_token", ""))}
            person = await _asked(lambda: _json(session, endpoints["userinfo_endpoint"]), provider)
        return {"claims": {"user_id": str(person.get("id", "")), "login": str(person.get("login", ""))}}

    async def _session(self, provider: Provider, redirect: str) -> "OAuth2Session":
        from authlib.integrations.requests_client import OAuth2Session  # noqa: PLC0415 - where somebody signs in

        return OAuth2Session(
            provider.client_id,
            await self._read_secret(provider.client_secret),
            scope="openid email" if provider.kind == "oidc" else None,
            redirect_uri=redirect,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method, no secret
        )

    async def _endpoints(self, provider: Provider, issuer: str) -> Mapping[str, Any]:
        if provider.kind == "github":
            return self._github
        if issuer not in self._known:
            with await self._session(provider, "") as session:
                place = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
                found = await _asked(lambda: _json(session, place), provider)
            if found.get("issuer") != issuer:
                raise Unavailable(f"{place} is not about the issuer {issuer}: look at the policy's `issuer`")
            self._known[issuer] = found
        return self._known[issuer]


def _json(session: "OAuth2Session", url: str) -> Any:
    anonymous = session.token is None
    answer = session.get(url, withhold_token=anonymous, headers={"accept": "application/json"}, **_NO_LOOKING_ELSEWHERE)
    answer.raise_for_status()
    return answer.json()


async def _asked(ask: Callable[[], Any], provider: Provider) -> Mapping[str, Any]:
    from authlib.common.errors import AuthlibBaseError  # noqa: PLC0415 - where somebody signs in
    from requests import RequestException  # noqa: PLC0415 - as above

    try:
        found = await asyncio.to_thread(ask)
    except AuthlibBaseError as error:
        raise Unavailable(f"{provider.name} does not say who you are ({error.error}): sign in again") from None
    except (RequestException, ValueError) as error:
        raise Unavailable(f"{provider.name} cannot be asked now ({type(error).__name__}): sign in again") from None
    if not isinstance(found, dict):
        raise Unavailable(f"{provider.name} answers with something else than was asked: sign in again")
    return found
