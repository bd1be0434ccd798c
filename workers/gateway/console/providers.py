"""Signing in with a provider: sent there, come back, and known by what it says, as a principal of the policy."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workers.console_settings import Provider
from workers.failures import Invalid
from workers.gateway.console.guard import own_place
from workers.gateway.console.kit import AskProviders
from workers.gateway.console.link import LOGIN
from workers.gateway.console.rendering import HEADERS
from workers.gateway.console.seal import Seal
from workers.gateway.console.sessions import Address
from workers.gateway.principals import Issuer, Policy, Principal
from workers.gateway.problems import Problem, unauthenticated
from workers.gateway.tokens import Tokens

_LIFETIME = timedelta(minutes=10)
"""How long signing in may take."""
_PURPOSE = "sign-in"


class ProvidersDoor:
    """Sends people to a provider and knows them when they come back. Raises Invalid: one that the policy does not."""

    def __init__(
        self,
        providers: tuple[Provider, ...],
        ask: AskProviders,
        seal: Seal,
        policy: Policy,
        tokens: Tokens,
        address: Address,
    ) -> None:
        self._ask = ask
        self._seal = seal
        self._tokens = tokens
        self._address = address
        issuers = {issuer.name: issuer for issuer in policy.issuers}
        self._known = {one.name: (one, _issuer(one, issuers)) for one in providers}

    @property
    def names(self) -> list[tuple[str, str]]:
        """The providers, as they are called in addresses and by people."""
        return [(name, provider.title or name) for name, (provider, _) in self._known.items()]

    async def begin(self, request: Request) -> Response:
        """Send somebody to a provider. Raises Problem (404), Unavailable."""
        provider, issuer = self._provider(request)
        url, begun = await self._ask.begin(provider, issuer.url, self._redirect(request, provider))
        place = own_place(request.query_params.get("next"))
        sealed = self._seal.seal(_PURPOSE, _LIFETIME, begun | {"provider": provider.name, "place": place})
        answer = RedirectResponse(url, HTTPStatus.SEE_OTHER, HEADERS)
        # Lax, not Strict: the person comes back from another site.
        answer.set_cookie(
            self._cookie(request),
            sealed,
            max_age=round(_LIFETIME.total_seconds()),
            path="/",
            secure=self._address.secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    async def finish(self, request: Request) -> tuple[Principal, str]:
        """Return who came back from a provider, and where it was going. Raises Problem: 401, 403, 404; Unavailable."""
        provider, issuer = self._provider(request)
        begun = self._seal.opened(_PURPOSE, request.cookies.get(self._cookie(request), ""))
        said = request.query_params
        # Whoever sends somebody a link that ends here has not begun in this browser.
        begun_here = begun is not None and secrets.compare_digest(str(begun["state"]), said.get("state", ""))
        if begun is None or not begun_here or begun["provider"] != provider.name:
            raise unauthenticated("signing in took too long, or was not begun here: begin again")
        if "code" not in said:
            raise unauthenticated(f"{provider.title or provider.name} did not let you in: begin again, or ask who may")
        proof = await self._ask.finish(provider, issuer.url, self._redirect(request, provider), begun, said["code"])
        if "claims" in proof:
            return self._tokens.principal_of(issuer, proof["claims"]), own_place(begun["place"])
        bearer = await self._tokens.bearer(proof["id_token"], issuer)
        nonce = str(bearer.claims.get("nonce", ""))
        if not secrets.compare_digest(nonce, str(begun["nonce"])):
            raise unauthenticated("what the provider says was meant for somebody else: begin again", claim="nonce")
        return bearer.principal, own_place(begun["place"])

    def forget(self, request: Request, response: Response) -> None:
        """Let a response take away what was kept while somebody was signing in."""
        response.delete_cookie(self._cookie(request), path="/", secure=self._address.secure, httponly=True)

    def _provider(self, request: Request) -> tuple[Provider, Issuer]:
        known = self._known.get(request.path_params["provider"])
        if known is None:
            raise Problem(HTTPStatus.NOT_FOUND, "nobody of that name says here who people are: sign in anew")
        return known

    def _redirect(self, request: Request, provider: Provider) -> str:
        return f"{self._address.origin(request)}{LOGIN}/{provider.name}/callback"

    def _cookie(self, request: Request) -> str:
        # With the prefix of the session's, where it has one: no neighbour below the same domain can begin in its place.
        return f"{self._address.cookie(request)}-login"


def _issuer(provider: Provider, issuers: Mapping[str, Issuer]) -> Issuer:
    issuer = issuers.get(provider.issuer)
    if issuer is None:
        raise Invalid(
            f"SEALANE_CONSOLE: {provider.name} names the issuer {provider.issuer!r}, which SEALANE_PRINCIPALS has not"
        )
    if issuer.audience != provider.client_id:
        raise Invalid(
            f"SEALANE_CONSOLE: the issuer {issuer.name!r} of {provider.name} has another `audience` in"
            " SEALANE_PRINCIPALS than `client_id`: its tokens would be refused"
        )
    return issuer
