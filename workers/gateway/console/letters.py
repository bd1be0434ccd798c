"""The pages about dead letters: why each was given up, and what to do: replay it, replay it edited, or drop it."""

import json
import logging
from collections.abc import Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from schemas.feeds import PubSubMessage
from workers.bus.doors.graveyard import DeadLetter, drop, newest_letters, read_letter, replay, with_replays
from workers.bus.transport.connection import Connection
from workers.bus.transport.publisher import Publisher
from workers.failures import Invalid, NotFound
from workers.gateway.console.attention import Attention
from workers.gateway.console.forms import act_of, require_act
from workers.gateway.console.guard import own_place
from workers.gateway.console.rendering import HEADERS, page
from workers.gateway.console.sessions import Address, Session
from workers.gateway.principals import Principal
from workers.gateway.problems import Problem
from workers.terminal import safe

log = logging.getLogger(__name__)
PAGE = 100
_LIST = "/console/dead"
_ACTS = ("replay", "edit", "drop")


class LetterPages:
    """Shows dead letters to those who may see their event, and acts on them as the `operator`."""

    def __init__(self, operator: Connection, publisher: Publisher, attention: Attention, address: Address) -> None:
        self._operator = operator
        self._publisher = publisher
        self._attention = attention
        self._address = address

    async def list(self, request: Request, session: Session) -> Response:
        """Answer GET /console/dead, newest first."""
        worker = request.query_params.get("worker") or None
        if worker is not None and worker not in self._attention.workers:
            raise Problem(HTTPStatus.BAD_REQUEST, "there is no such worker: choose one on the page")
        before = request.query_params.get("before", "")
        bound = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None  # noqa: PLR2004 - 63 bits
        found: list[DeadLetter] = []
        async with aclosing(newest_letters(self._operator, worker=worker, before=bound)) as newest:
            async for letter in newest:
                if _shows(session.principal, letter):
                    found.append(letter)
                if len(found) > PAGE:
                    break
        letters = await with_replays(self._operator, found[:PAGE])
        older = letters[-1].sequence if len(found) > PAGE else None
        known: dict[str, Any] = {"workers": self._attention.workers, "worker": worker, "before": bound}
        known["dropped"] = request.query_params.get("dropped")
        return page("letters.html", session, here="dead", letters=letters, older=older, **known)

    async def one(self, request: Request, session: Session) -> Response:
        """Answer GET /console/dead/{sequence}."""
        letter = await self._seen(request, session.principal)
        return self._page("letter.html", session, letter, done=request.query_params.get("done"))

    async def ask(self, request: Request, session: Session) -> Response:
        """Answer GET /console/dead/{sequence}/{act}: ask before it is done."""
        act = _act(request)
        require_act(session)
        letter = await self._seen(request, session.principal)
        return self._page("decide.html", session, letter, act=act, text=_pretty(letter), wrong=None)

    async def act(self, request: Request, session: Session) -> Response:
        """Answer POST /console/dead/{sequence}/{act}."""
        fields = await act_of(request, session, self._address)
        act = _act(request)
        letter = await self._seen(request, session.principal)
        if act == "drop":
            return await self._drop(letter, session)
        if fields.get("replays") != str(len(letter.replays)):
            last = letter.replays[-1].by if letter.replays else "somebody"
            raise Problem(
                HTTPStatus.CONFLICT,
                f"since you looked, {last} replayed dead letter {letter.sequence}: look at it again before you do",
            )
        text = fields.get("body", "")
        try:
            changes = _changes(letter, text) if act == "edit" else None
            envelope, _ = await replay(self._publisher, letter, by=session.principal.name, changes=changes)
        except Invalid as error:
            answer = self._page("decide.html", session, letter, act=act, text=text, wrong=str(error))
            answer.status_code = HTTPStatus.BAD_REQUEST
            return answer
        how = "edited and replayed" if act == "edit" else "replayed"
        log.info("%s: dead letter %d %s, run %s", safe(session.principal.name), letter.sequence, how, envelope.run)
        self._attention.look_again()
        return _go(f"{_LIST}/{letter.sequence}?done={act}")

    async def _drop(self, letter: DeadLetter, session: Session) -> Response:
        await drop(self._operator, letter.sequence)
        log.info("%s: dead letter %d dropped", safe(session.principal.name), letter.sequence)
        self._attention.look_again()
        return _go(f"{_LIST}?dropped={letter.sequence}")

    def _page(self, name: str, session: Session, letter: DeadLetter, **known: Any) -> Response:
        return page(
            name,
            session,
            here="dead",
            letter=letter,
            body=_pretty(letter),
            editable=letter.envelope is not None
            and isinstance(letter.content, dict)
            and letter.type != PubSubMessage.event_type,
            **known,
        )

    async def _seen(self, request: Request, principal: Principal) -> DeadLetter:
        text = request.path_params["sequence"]
        sequence = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0  # noqa: PLR2004 - 63 bits
        letter = await read_letter(self._operator, sequence) if sequence else None
        if letter is None or not _shows(principal, letter):
            # The same answer for one that somebody may not see.
            raise NotFound(f"there is no dead letter {sequence or 'of that name'} (any more): look at those there are")
        return letter


def _shows(principal: Principal, letter: DeadLetter) -> bool:
    envelope = letter.envelope
    if envelope is not None and envelope.actor == principal.name:
        return True
    subject = envelope.subject if envelope is not None else None
    return any(sight.shows(letter.type, subject) for sight in principal.may_see)


def _act(request: Request) -> str:
    act = str(request.path_params["act"])
    if act not in _ACTS:
        raise Problem(HTTPStatus.NOT_FOUND, "a dead letter is replayed, edited and replayed, or dropped: nothing else")
    return act


def _pretty(letter: DeadLetter) -> str:
    content = letter.content
    return content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)


def _changes(letter: DeadLetter, text: str) -> Mapping[str, Any]:
    """Return the fields that were changed. Raises Invalid."""
    try:
        edited = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"this is no JSON: {error}") from None
    before = letter.content
    if not isinstance(edited, dict) or not isinstance(before, dict):
        raise Invalid("the data of an event is a JSON object: begin with { and end with }")
    if gone := sorted(before.keys() - edited.keys()):
        raise Invalid(f"the field {gone[0]!r} is gone: leave every field there and change its value")
    changes = {name: value for name, value in edited.items() if name not in before or before[name] != value}
    if not changes:
        raise Invalid("nothing was changed: change a field, or replay it as it is")
    return changes


def _go(place: str) -> Response:
    return RedirectResponse(own_place(place), HTTPStatus.SEE_OTHER, HEADERS)
