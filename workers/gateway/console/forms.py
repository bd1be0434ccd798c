"""What a browser posts: read, bounded, and proven to come from a page of this very session."""

import secrets
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.requests import Request

from workers.gateway.console.sessions import Address, Session
from workers.gateway.problems import Problem, forbidden
from workers.gateway.reading import body_of

_CONTENT_TYPE = "application/x-www-form-urlencoded"
_MOST_BYTES, _MOST_FIELDS = 4 << 20, 32


async def form_of(request: Request, session: Session, address: Address) -> dict[str, str]:
    """Return the fields of a form. Raises Problem: 403 when another page sent it, 400, 413, 415.

    Three things must hold, each of them enough by itself: the cookie is not sent from elsewhere (SameSite=Strict), the
    browser says that the page is ours (Origin), and the form holds what only a page of this session has.
    """
    if request.headers.get("origin") != address.origin(request):
        raise forbidden("this was sent from another page: open the console and do it there")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _CONTENT_TYPE:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"a form is sent as {_CONTENT_TYPE}")
    body = await body_of(request, _MOST_BYTES)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, "this form cannot be read: open the page again") from None
    fields = dict(pairs)
    if not secrets.compare_digest(fields.pop("csrf", "").encode(), session.csrf.encode()):
        raise forbidden("this page is of an earlier session: open it again, then do it")
    return fields


async def act_of(request: Request, session: Session, address: Address) -> dict[str, str]:
    """Return the fields of a form that changes something. Raises Problem: 403 for who may only see."""
    fields = await form_of(request, session, address)
    require_act(session)
    return fields


def require_act(session: Session) -> None:
    """Raise Problem (403) when somebody may only see."""
    if not session.principal.may_act:
        who = session.principal.name
        raise forbidden(f"you ({who}) may see, not act: ask somebody who may, or for `may_act` in SEALANE_PRINCIPALS")
