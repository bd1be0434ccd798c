"""Who looks at the console: a signed cookie that expires, bound to a principal of the policy and to one address."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from workers.failures import Invalid
from workers.gateway.console.seal import Seal
from workers.gateway.principals import Policy, Principal
from workers.registries import is_loopback

_SESSION = "session"


class Address:
    """Where browsers find the console: `url` from outside, or None on loopback, where it is what listens."""

    def __init__(self, url: str | None) -> None:
        self._url = url.rstrip("/") if url else None

    @property
    def secure(self) -> bool:
        """Whether it is reached over TLS."""
        return self._url is not None and self._url.startswith("https://")

    def origin(self, request: Request) -> str:
        """Return scheme, host and port (RFC 6454). What the client says of the host decides nothing."""
        if self._url is not None:
            place = urlsplit(self._url)
            return f"{place.scheme}://{place.netloc}"
        host, port = request.scope["server"]
        if not is_loopback(host):
            raise Invalid("the console has no address: set `url` in SEALANE_CONSOLE to the one that people open")
        return f"http://{host}:{port}"

    def is_meant(self, request: Request) -> bool:
        """Whether a request names this address: another name that leads here might be anybody's."""
        return request.headers.get("host", "") == urlsplit(self.origin(request)).netloc

    def cookie(self, request: Request) -> str:
        """Return the name of the session's cookie."""
        if self.secure:
            # The prefix makes browsers insist on Secure and on this very host (RFC 6265bis, section 4.1.3.2).
            return "__Host-sealane"
        # Browsers keep no cookies apart by port, and on one machine there may be several worlds.
        return f"sealane-{urlsplit(self.origin(request)).port or 80}"


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in. `csrf` is in each form of this session, and in nobody else's."""

    principal: Principal
    csrf: str


class Sessions:
    """Opens and knows sessions. The policy is asked each time: who is no longer in it has none."""

    def __init__(self, seal: Seal, policy: Policy, address: Address, lifetime: timedelta) -> None:
        self._seal = seal
        self._principals = {principal.name: principal for principal in policy.principals}
        self._address = address
        self._lifetime = lifetime

    def principal(self, name: object) -> Principal | None:
        """Return the principal of a name."""
        return self._principals.get(name) if isinstance(name, str) else None

    def open(self, request: Request, response: Response, principal: Principal) -> None:
        """Let a response sign somebody in."""
        claims = {"sub": principal.name, "csrf": secrets.token_urlsafe(24)}
        self._set(request, response, self._seal.seal(_SESSION, self._lifetime, claims), self._lifetime)

    def of(self, request: Request) -> Session | None:
        """Return the session of a request, or None."""
        claims = self._seal.opened(_SESSION, request.cookies.get(self._address.cookie(request), ""))
        principal = self.principal(claims["sub"]) if claims else None
        return Session(principal, claims["csrf"]) if claims and principal else None

    def vouched(self, principal: Principal) -> Session:
        """Return the session of somebody for whom each request is vouched: no cookie, and a word for its forms."""
        return Session(principal, self._seal.word("csrf", principal.name))

    def close(self, request: Request, response: Response) -> None:
        """Let a response sign somebody out."""
        self._set(request, response, "", timedelta(0))

    def _set(self, request: Request, response: Response, value: str, lifetime: timedelta) -> None:
        # Of the whole door, since the streams of /runs and /progress are followed with it as well.
        response.set_cookie(
            self._address.cookie(request),
            value,
            max_age=round(lifetime.total_seconds()),
            path="/",
            secure=self._address.secure,
            httponly=True,
            samesite="strict",
        )
