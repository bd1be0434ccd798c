"""Who looks at the console: a signed cookie, bound to a principal of the policy and to one address.

It is good until it expires, or until somebody signs out: then it is over at every replica, whoever has a copy of it.
"""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from workers.failures import Invalid
from workers.gateway.console.seal import Seal
from workers.gateway.console.signed_out import SignedOut
from workers.gateway.principals import Policy, Principal
from workers.registries import is_loopback

_SESSION = "session"
_MARGIN = timedelta(minutes=5)
"""By which a note outlives its session: clocks differ."""


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
    id: str | None = None
    """What signing out ends; None where a proxy vouches for each request."""
    began: int = 0
    """The revision of the ledger at its beginning: whoever is signed out everywhere later, is so here."""
    seconds: float = float("inf")
    """How long it is good still."""

    @property
    def ends(self) -> dict[str, int]:
        """What may be signed out, and after which revision that ends it: this session, or all of this person."""
        return {_of_session(self.id): 0, of_person(self.principal.name): self.began} if self.id else {}


def of_person(principal: str) -> str:
    """Return the name under which all sessions of a principal are signed out."""
    return f"principal {principal}"


def _of_session(session: str) -> str:
    return f"session {session}"


class Sessions:
    """Opens, knows and ends sessions. The policy is asked each time: who is no longer in it has none."""

    def __init__(
        self, seal: Seal, policy: Policy, address: Address, lifetime: timedelta, signed_out: SignedOut
    ) -> None:
        self._seal = seal
        self._principals = {principal.name: principal for principal in policy.principals}
        self._address = address
        self._lifetime = lifetime
        self._signed_out = signed_out

    def principal(self, name: object) -> Principal | None:
        """Return the principal of a name."""
        return self._principals.get(name) if isinstance(name, str) else None

    async def open(self, request: Request, response: Response, principal: Principal) -> None:
        """Let a response sign somebody in. Raises Unavailable."""
        began = await self._signed_out.revision(of_person(principal.name))
        claims = {"sub": principal.name, "csrf": secrets.token_urlsafe(24), "jti": secrets.token_urlsafe(16)}
        sealed = self._seal.seal(_SESSION, self._lifetime, claims | {"began": began})
        self._set(request, response, sealed, self._lifetime)

    def of(self, request: Request) -> Session | None:
        """Return the session of a request, or None. Raises Unavailable while nobody knows who signed out."""
        session = self._sealed(request)
        over = session is not None and self._signed_out.knows(session.ends)
        return None if over else session

    async def surely(self, request: Request) -> Session | None:
        """Return the same, having asked the ledger itself: for what changes something. Raises Unavailable."""
        session = self.of(request)
        over = session is not None and await self._signed_out.asked(session.ends)
        return None if over else session

    def vouched(self, principal: Principal) -> Session:
        """Return the session of somebody for whom each request is vouched: no cookie, and a word for its forms."""
        return Session(principal, self._seal.word("csrf", principal.name))

    async def over(self, session: Session) -> None:
        """Return as soon as a session is over: what goes on for long ends with it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(session.seconds):
                await self._signed_out.wait(session.ends)

    async def close(self, request: Request, response: Response, session: Session, *, everywhere: bool) -> None:
        """End a session, or all of its principal, and let a response take the cookie away. Raises Unavailable."""
        if everywhere:
            await self._signed_out.note(of_person(session.principal.name))
        elif session.id is not None:
            left = timedelta(seconds=session.seconds) + _MARGIN
            await self._signed_out.note(_of_session(session.id), lifetime=left)
        self._set(request, response, "", timedelta(0))

    def _sealed(self, request: Request) -> Session | None:
        claims: dict[str, Any] | None
        claims = self._seal.opened(_SESSION, request.cookies.get(self._address.cookie(request), ""))
        principal = self.principal(claims["sub"]) if claims else None
        if claims is None or principal is None or "jti" not in claims:
            return None
        return Session(principal, claims["csrf"], claims["jti"], claims["began"], self._seal.remaining(claims))

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
