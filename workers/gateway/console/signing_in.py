"""How somebody signs in: by a link that is good once, with a provider, or through a proxy that vouches for them."""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from schemas.identity import digest_of
from workers.bus.claims.ledger import Ledger
from workers.gateway.console.forms import form_of
from workers.gateway.console.guard import READING, own_place
from workers.gateway.console.link import LINK, LINK_LIFETIME, LOGIN
from workers.gateway.console.providers import ProvidersDoor
from workers.gateway.console.proxy import ProxyDoor
from workers.gateway.console.rendering import HEADERS, page
from workers.gateway.console.seal import Seal
from workers.gateway.console.sessions import Address, Session, Sessions
from workers.gateway.problems import unauthenticated
from workers.terminal import safe

log = logging.getLogger(__name__)


class SignIn:
    """Signs people in and out. What a link was used for, all replicas know together."""

    def __init__(
        self,
        seal: Seal,
        sessions: Sessions,
        address: Address,
        ledger: Ledger,
        providers: ProvidersDoor,
        proxy: ProxyDoor | None = None,
    ) -> None:
        self._seal = seal
        self._providers = providers
        self._proxy = proxy
        self._sessions = sessions
        self._address = address
        self._ledger = ledger

    async def who(self, request: Request) -> Session | None:
        """Return the session of a request. Raises Problem (401, 403) when a proxy's word is none; Unavailable."""
        if self._proxy is not None:
            principal = await self._proxy.principal(request)
            return self._sessions.vouched(principal) if principal else None
        return self._sessions.of(request) if request.method in READING else await self._sessions.surely(request)

    async def begin(self, request: Request) -> Response:
        """Answer GET /console/login/{provider}."""
        return await self._providers.begin(request)

    async def finish(self, request: Request) -> Response:
        """Answer GET /console/login/{provider}/callback."""
        principal, place = await self._providers.finish(request)
        answer = RedirectResponse(place, HTTPStatus.SEE_OTHER, HEADERS)
        self._providers.forget(request, answer)
        await self._sessions.open(request, answer, principal)
        log.info("%s signed in with %s", safe(principal.name), request.path_params["provider"])
        return answer

    async def login(self, request: Request) -> Response:
        """Answer GET /console/login: by its token, or say how one signs in."""
        place = own_place(request.query_params.get("next"))
        token = request.query_params.get("token")
        # Who only looks where a link leads (HEAD) does not use it up.
        if token and request.method == "GET":
            return await self._by_link(request, token, place)
        if await self.who(request) is not None:
            return RedirectResponse(place, HTTPStatus.SEE_OTHER, HEADERS)
        return page(
            "login.html",
            None,
            status=HTTPStatus.UNAUTHORIZED,
            place=place,
            providers=self._providers.names,
            links=not self._address.secure,
            proxied=self._proxy is not None,
        )

    async def logout(self, request: Request, session: Session) -> Response:
        """Answer POST /console/logout. Raises Unavailable: without the bus nobody is signed out, and is told so."""
        everywhere = "everywhere" in await form_of(request, session, self._address)
        answer = RedirectResponse(LOGIN, HTTPStatus.SEE_OTHER, HEADERS)
        await self._sessions.close(request, answer, session, everywhere=everywhere)
        log.info("%s signed out%s", safe(session.principal.name), " everywhere" if everywhere else "")
        return answer

    async def _by_link(self, request: Request, token: str, place: str) -> Response:
        claims = self._seal.opened(LINK, token)
        principal = self._sessions.principal(claims.get("sub")) if claims else None
        if claims is None or principal is None or not await self._is_first(claims):
            raise unauthenticated("this link was opened before, or is too old: `sealane console` prints a new one")
        # The token leaves the address at once, and goes to nobody as a referrer.
        answer = RedirectResponse(place, HTTPStatus.SEE_OTHER, HEADERS | {"referrer-policy": "no-referrer"})
        await self._sessions.open(request, answer, principal)
        return answer

    async def _is_first(self, claims: Mapping[str, object]) -> bool:
        key = f"login.{digest_of('login', str(claims.get('jti')))}"
        return await self._ledger.note(key, b"used", ttl=LINK_LIFETIME) is None
