"""`GET /runs`: one row a run, newest word first, filtered and paged; live by Server-Sent Events.

A row is the state of a run, so that a list that was away gets the rows which changed, not their history: the ids are
sequences of PROGRESS, and `Last-Event-ID` asks for what changed after one. What the stream no longer keeps is gone from
the list as well (`retention.progress_age`, `retention.progress_bytes`).
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from http import HTTPStatus
from itertools import islice
from operator import attrgetter
from typing import Annotated, Literal
from urllib.parse import urlencode

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from workers.bus.doors.index import Index, Row
from workers.gateway.live.quota import StreamQuota
from workers.gateway.live.tale import HEARTBEAT, Told
from workers.gateway.live.wire import MEDIA_TYPE, EventStream
from workers.gateway.patterns import matching
from workers.gateway.principals import Principal, Sight
from workers.gateway.problems import Problem
from workers.gateway.tokens import Bearer


class Wanted(BaseModel):
    """Which runs are asked for. In `type`, `subject` and `actor`, `*` stands for anything within a segment."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    worker: str | None = None
    state: Literal["running", "waiting", "done", "failed"] | None = None
    type: str | None = None
    subject: str | None = None
    actor: str | None = None
    run: str | None = None
    since: AwareDatetime | None = None
    """Runs of which something was said at this time or later."""
    until: AwareDatetime | None = None
    before: Annotated[int, Field(ge=1, lt=1 << 63)] | None = None
    """Rows of which nothing was said from this sequence of PROGRESS on: the next page."""
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    after: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None
    """Live: the rows which changed after this sequence, for who has a page of them and no id of an event yet."""

    def among(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Return those rows that are asked for: of 100,000, each test is made once, and none needlessly."""
        tests = [*self._equalities(), *self._times()]
        for name in ("type", "actor", "subject"):
            if (pattern := getattr(self, name)) is not None:
                tests.append(_matching(name, pattern))  # noqa: PERF401 - three, said plainly
        for test in tests:
            rows = filter(test, rows)
        return iter(rows)

    def _equalities(self) -> Iterator[Callable[[Row], bool]]:
        state, worker, run = self.state, self.worker, self.run
        if state is not None:
            yield lambda row: row.state == state
        if worker is not None:
            yield lambda row: row.worker == worker
        if run is not None:
            yield lambda row: row.run == run

    def _times(self) -> Iterator[Callable[[Row], bool]]:
        if self.since is not None:
            since = self.since.timestamp()
            yield lambda row: row.at >= since
        if self.until is not None:
            until = self.until.timestamp()
            yield lambda row: row.at <= until


ALL = Wanted()


def _matching(name: str, pattern: str) -> Callable[[Row], bool]:
    get, fits = attrgetter(name), matching(pattern)
    return lambda row: get(row) is not None and fits(get(row))


class ListDoor:
    """Lists runs to those who may see them."""

    def __init__(self, index: Index, caller: Callable[[Request], Awaitable[Bearer]], quota: StreamQuota) -> None:
        self._index = index
        self._caller = caller
        self._quota = quota

    async def get(self, request: Request) -> Response:
        """Answer GET /runs."""
        try:
            principal = (await self._caller(request)).principal
            wanted = wanted_of(dict(request.query_params))
            after = wanted.after if (last := _after(request)) is None else last
            if MEDIA_TYPE not in request.headers.get("accept", ""):
                return self._page(request, principal, wanted)
            held = ExitStack()
            held.enter_context(self._quota.place(principal))
        except Problem as problem:
            return problem.response()
        return EventStream(self.changes(principal, wanted, after), held)

    def _page(self, request: Request, principal: Principal, wanted: Wanted) -> Response:
        rows = self.rows(principal, wanted)
        answer = {"runs": [row.as_json() for row in rows], "complete": self.complete, "kept": self.kept}
        headers = {"cache-control": "no-store"}
        if len(rows) == wanted.limit:
            query = {name: value for name, value in request.query_params.items() if name != "before"}
            headers["link"] = f'</runs?{urlencode(query | {"before": rows[-1].sequence})}>; rel="next"'
        return JSONResponse(answer, headers=headers)

    @property
    def complete(self) -> bool:
        """Whether all that is kept was read."""
        return self._index.loaded.is_set()

    @property
    def kept(self) -> dict[str, float | None]:
        """Say for how many seconds a word is kept, and how many of one worker in one run; None is without a bound."""
        held = self._index.held
        return {} if held is None else {"seconds": held.seconds, "messages": held.messages}

    def of_event(self, principal: Principal, event_id: str) -> str | None:
        """Return the newest run that a principal may see and that an event with this id opened, if there is one."""
        rows = (row for row in self._index.newest() if row.id == event_id)
        return next((row.run for row in filter(seen_by(principal), rows)), None)

    def rows(self, principal: Principal, wanted: Wanted) -> list[Row]:
        """Return a page of what a principal may see."""
        return list(islice(self._seen(principal, wanted, self._index.newest(before=wanted.before)), wanted.limit))

    async def changes(
        self, principal: Principal, wanted: Wanted = ALL, after: int | None = None
    ) -> AsyncGenerator[Told, None]:
        """Yield a page of rows, or those that changed after a sequence, and then each row that changes.

        A page as well whenever the position is beyond the end: the stream began anew.
        """
        index, position = self._index, after
        while not index.closed:
            if position is None or position > index.position:
                rows = list(islice(self._seen(principal, wanted, index.newest()), wanted.limit))[::-1]
            else:
                rows = list(self._seen(principal, wanted, iter(index.since(position))))
            position = index.position
            for row in rows:
                yield _told(row)
            if not await index.wait(position, HEARTBEAT):
                yield Told("heartbeat")

    def _seen(self, principal: Principal, wanted: Wanted, rows: Iterator[Row]) -> Iterator[Row]:
        return filter(seen_by(principal), wanted.among(rows))


def seen_by(principal: Principal) -> Callable[[Row], bool] | None:
    """Return what tells whether a principal may see the run of a row, None when it may see all: made for `filter`."""
    if Sight() in principal.may_see:
        return None
    name = principal.name
    sights = [(matching(sight.type), matching(sight.subject)) for sight in principal.may_see]
    return lambda row: row.actor == name or any(types(row.type) and about(row.subject) for types, about in sights)


def _told(row: Row) -> Told:
    return Told("run", str(row.sequence), to_json(row.as_json()))


def wanted_of(parameters: Mapping[str, str | int]) -> Wanted:
    """Return which runs are asked for. Raises Problem (400) that names the field."""
    try:
        return Wanted.model_validate(parameters)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "query"
        known = ", ".join(Wanted.model_fields)
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"{field}: {first['msg']}; runs are filtered by {known}", field=field
        ) from None


def _after(request: Request) -> int | None:
    text = request.headers.get("last-event-id")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):  # noqa: PLR2004 - longer is no sequence
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "the header Last-Event-ID holds no sequence: send the id of the last event that you have, or leave it out",
            attribute="Last-Event-ID",
        )
    return int(text)
