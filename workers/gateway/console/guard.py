"""What holds for every page: the right address, somebody who is signed in, and problems said in a sentence."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from workers.failures import Invalid, NotFound, SealaneError
from workers.gateway.console.link import LOGIN
from workers.gateway.console.rendering import HEADERS, page, problem_page
from workers.gateway.console.sessions import Address, Session
from workers.gateway.metrics import PRINCIPAL
from workers.gateway.problems import Problem

log = logging.getLogger(__name__)
HOME = "/console"
Handler = Callable[[Request, Session], Awaitable[Response]]
Who = Callable[[Request], Awaitable[Session | None]]
READING = frozenset({"GET", "HEAD"})
"""The methods of those who change nothing."""
_LONGEST_PLACE = 2048


class Guard:
    """Stands before every page. `who` finds the session of a request."""

    def __init__(self, address: Address, who: Who) -> None:
        self._address = address
        self._who = who

    def open(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Return a page for everybody, at the right address."""

        async def answer(request: Request) -> Response:
            try:
                return self._elsewhere(request) or await handle(request)
            except Problem as problem:
                return problem_page(problem, None)
            except SealaneError as error:
                return problem_page(_problem(error), None)

        return answer

    def closed(self, handle: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Return a page for those who are signed in; the others sign in and come back to it."""

        async def answer(request: Request) -> Response:
            session: Session | None = None
            try:
                if elsewhere := self._elsewhere(request):
                    return elsewhere
                session = await self._who(request)
                if session is None:
                    return _stranger(request)
                request.scope[PRINCIPAL] = session.principal.name
                return await handle(request, session)
            except Problem as problem:
                return problem_page(problem, session)
            except SealaneError as error:
                return problem_page(_problem(error), session)

        return answer

    def _elsewhere(self, request: Request) -> Response | None:
        """Send those who came by another name to the one address, and take nothing that is posted there."""
        if self._address.is_meant(request):
            return None
        if request.method not in READING:
            raise Problem(
                HTTPStatus.MISDIRECTED_REQUEST, f"the console is at {self._address.origin(request)}: go there"
            )
        return _redirect(f"{self._address.origin(request)}{_place(request)}")


def _stranger(request: Request) -> Response:
    if request.method not in READING:
        raise Problem(HTTPStatus.UNAUTHORIZED, "you are not signed in (any more): sign in, look again, then do it")
    if request.headers.get("sec-fetch-site") == "cross-site":
        # A link in a chat: browsers keep SameSite=Strict cookies back. From a page of ours they send them.
        return page("arriving.html", None, place=_place(request))
    return _redirect(f"{LOGIN}?next={quote(_place(request), safe='')}")


def _redirect(place: str) -> Response:
    return RedirectResponse(place, HTTPStatus.SEE_OTHER, HEADERS)


def _place(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def own_place(text: str | None) -> str:
    """Return where to go on, which is a page of ours whatever was asked for."""
    place = urlsplit(text or HOME)
    is_ours = not (place.scheme or place.netloc) and (place.path == HOME or place.path.startswith(f"{HOME}/"))
    is_plain = text is not None and len(text) <= _LONGEST_PLACE and text.isprintable() and "\\" not in text
    return text if text and is_ours and is_plain and place.path != LOGIN else HOME


def _problem(error: SealaneError) -> Problem:
    if isinstance(error, NotFound):
        return Problem(HTTPStatus.NOT_FOUND, str(error))
    if isinstance(error, Invalid):
        return Problem(HTTPStatus.BAD_REQUEST, str(error))
    log.warning("a page of the console was not to be had: %s", error)
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), after=5)
