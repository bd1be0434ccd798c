"""The pages about runs: all of them, newest word first, and one of them."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from schemas.catalogue import CATALOGUE
from schemas.envelope import Envelope, EnvelopeError, read
from workers.bus.doors.follow import follow_progress
from workers.bus.doors.index import Index, Row
from workers.bus.doors.runs import Consumers, RunState
from workers.bus.topology.streams import EVENTS
from workers.bus.transport.connection import Connection
from workers.bus.transport.stored import read_one
from workers.gateway.console.attention import Attention
from workers.gateway.console.rendering import HEADERS, page
from workers.gateway.console.sessions import Session
from workers.gateway.console.timeline import Timeline
from workers.gateway.live.listing import seen_by
from workers.gateway.principals import Principal
from workers.gateway.problems import Problem
from workers.gateway.runs import RUN, RunsDoor

PAGE = 100
"""Rows of a page."""
_AT_ONCE = 2000
"""Rows that are looked at before others have their turn."""
COUNTED = 5000
"""The newest runs, of which the states are counted."""


def _given(value: Any) -> Any:
    return value.strip() or None if isinstance(value, str) else value


Text = Annotated[str | None, BeforeValidator(_given), Field(max_length=512)]


class Sought(BaseModel):
    """Which runs somebody looks for. `q` is part of what a run is about, its id, its event's id, or its actor."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    q: Text = None
    state: Annotated[RunState | None, BeforeValidator(_given)] = None
    worker: Text = None
    type: Text = None
    before: Annotated[int | None, BeforeValidator(_given), Field(ge=1, lt=1 << 63)] = None

    def fits(self, row: Row) -> bool:
        """Whether a run is meant."""
        return (
            (self.state is None or row.state == self.state)
            and (self.worker is None or row.worker == self.worker)
            and (self.type is None or row.type == self.type)
            and (self.q is None or any(self._folded in text.casefold() for text in _texts(row)))
        )

    @cached_property
    def _folded(self) -> str:
        return (self.q or "").casefold()

    def query(self, **changes: Any) -> str:
        """Return the address of the page with some of it changed."""
        known = self.model_dump(exclude_none=True) | changes
        return "/console?" + urlencode({name: value for name, value in known.items() if value is not None})

    @property
    def narrows(self) -> bool:
        """Whether anything is looked for."""
        return any((self.q, self.state, self.worker, self.type))


def _texts(row: Row) -> Iterator[str]:
    yield from (row.run, row.id, row.subject or "", row.actor or "")


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of the newest runs are how."""

    states: Counter[str]
    whole: bool
    """Whether these are all runs there are."""


class RunPages:
    """Shows runs to those who may see them."""

    def __init__(
        self, connection: Connection, runs: RunsDoor, index: Index, consumers: Consumers, attention: Attention
    ) -> None:
        self._connection = connection
        self._runs = runs
        self._index = index
        self._consumers = consumers
        self._attention = attention

    async def newest(self, request: Request, session: Session) -> Response:
        """Answer GET /console."""
        try:
            sought = Sought.model_validate(dict(request.query_params))
        except ValidationError as error:
            field = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
            raise Problem(HTTPStatus.BAD_REQUEST, f"the filter {field!r} is none: choose one on the page") from None
        position = self._index.position
        rows = await self._found(session.principal, sought)
        if sought.q and len(rows) == 1 and sought.q == rows[0].run:
            return RedirectResponse(f"/console/runs/{rows[0].run}", HTTPStatus.SEE_OTHER, HEADERS)
        needs = await self._attention.needs(session.principal)
        return page(
            "runs.html",
            session,
            here="runs",
            rows=rows[:PAGE],
            older=rows[PAGE - 1].sequence if len(rows) > PAGE else None,
            sought=sought,
            counts=self._counts(session.principal),
            needs=needs,
            position=position,
            loaded=self._index.loaded.is_set(),
            kept=self._index.held,
            workers=self._attention.workers,
            types=sorted(CATALOGUE),
        )

    async def one(self, request: Request, session: Session) -> Response:
        """Answer GET /console/runs/{run}: the page, or its timeline alone with `?part=timeline`."""
        name = request.path_params["run"]
        if not RUN.fullmatch(name):
            raise Problem(HTTPStatus.NOT_FOUND, "this is not the id of a run: look for it in the list")
        timeline = Timeline(name, self._consumers)
        async for sequence, message in follow_progress(self._connection, run=name, live=False):
            timeline.add(sequence, message)
        await self._runs.require(session.principal, timeline.run)
        part = "timeline.html" if request.query_params.get("part") == "timeline" else "run.html"
        event, body = await self._opened_by(timeline) if part == "run.html" else (None, "")
        known: dict[str, Any] = {"timeline": timeline, "run": timeline.run, "nodes": timeline.nodes()}
        return page(part, session, here="runs", event=event, body=body, **known)

    async def _found(self, principal: Principal, sought: Sought) -> list[Row]:
        """Return the rows of a page and one more, if there are. Others have their turn while many are looked at."""
        found: list[Row] = []
        is_seen = seen_by(principal)
        for number, row in enumerate(list(self._index.newest(before=sought.before)), start=1):
            if sought.fits(row) and (is_seen is None or is_seen(row)):
                found.append(row)
                if len(found) > PAGE:
                    break
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return found

    def _counts(self, principal: Principal) -> Counts:
        newest = list(islice(self._index.newest(), COUNTED + 1))
        states = Counter[str](row.state for row in filter(seen_by(principal), newest[:COUNTED]))
        return Counts(states, whole=len(newest) <= COUNTED)

    async def _opened_by(self, timeline: Timeline) -> tuple[Envelope | None, str]:
        """Return the event that opened a run, if it is stored still, and its data for people."""
        root = next((root for root in timeline.run.roots if root.stream == EVENTS and root.sequence), None)
        stored = await read_one(self._connection, EVENTS, root.sequence) if root and root.sequence else None
        if stored is None:
            return None, ""
        try:
            envelope, body = read(stored.headers, stored.body)
        except EnvelopeError:
            return None, ""
        try:
            return envelope, json.dumps(json.loads(body), indent=2, ensure_ascii=False)
        except ValueError:
            return envelope, body.decode(errors="replace")
