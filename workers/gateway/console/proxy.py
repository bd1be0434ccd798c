"""A proxy that stands before the console and signs its word about who comes; each request is proven anew.

Source: Google Cloud docs, "Securing your app with signed headers": the token is ES256, its `iss` is
https://cloud.google.com/iap, its `aud` names the backend, its keys are at gstatic.com/iap/verify/public_key-jwk.
"""

from starlette.requests import Request

from workers.console_settings import Proxy
from workers.failures import Invalid
from workers.gateway.principals import Policy, Principal
from workers.gateway.tokens import Tokens


class ProxyDoor:
    """Knows people by the word of a proxy. Raises Invalid: one that the policy does not know."""

    def __init__(self, proxy: Proxy, policy: Policy, tokens: Tokens) -> None:
        issuer = next((issuer for issuer in policy.issuers if issuer.name == proxy.issuer), None)
        if issuer is None:
            raise Invalid(
                f"SEALANE_CONSOLE: the proxy names the issuer {proxy.issuer!r}, which SEALANE_PRINCIPALS has not"
            )
        self._header = proxy.header
        self._issuer = issuer
        self._tokens = tokens

    async def principal(self, request: Request) -> Principal | None:
        """Return who comes, or None when the proxy says nothing. Raises Problem: 401, 403, 503."""
        said = request.headers.getlist(self._header)
        if not said:
            return None
        return (await self._tokens.bearer(said[0] if len(said) == 1 else "", self._issuer)).principal
