"""HTTP/1.1 as the door reads it: uvicorn's protocol on httptools (llhttp), with the bounds that it lacks.

The parser keeps what it was given of a head until the head is complete, and nothing ends a client that never completes
it: size, time and the number of connections are bounded here. Fields after a body (trailers) are bounded as well and
count for nothing: no proxy in front has looked at them (RFC 9110, section 6.5.1). What is refused before it is a
request is counted, and in the log once a minute: anybody may send such things as fast as a line takes them.
"""

import asyncio
import logging
import resource
from collections import deque
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from workers.gateway.heads import fault_of
from workers.gateway.metrics import DoorMetrics
from workers.gateway.problems import Problem
from workers.gateway.sparing import Sparing

log = logging.getLogger(__name__)
MOST_HEADERS = 32 * 1024
"""Bytes that the headers of a request may hold."""
HEAD_SECONDS = 10.0
"""How long a connection may take to bring the head of a request."""
MOST_CONNECTIONS = 4096
"""Connections that are open at a time, most of them of people who follow runs; one more is told to come again."""
WHOLE = "sealane.whole"
"""Where in an ASGI scope it stands that the whole request is here."""
MOST_GATHERED = 64 * 1024
"""Bytes that wait for the end of a turn of the loop."""
_CROWDED_SECONDS = 1.0


class Unread:
    """Counts what was refused before it was a request, and says it once a minute."""

    def __init__(self, metrics: DoorMetrics) -> None:
        self._metrics = metrics
        self._sparing = Sparing(log, 1)

    def note(self, problem: Problem) -> None:
        """Count one."""
        self._metrics.unread[str(problem.status.value)] += 1
        self._sparing.warn("a connection brought no request (%d): %s", problem.status, problem)


class _Gathered:
    """A transport that writes what one turn of the loop brings in one go: a head and its body are one packet.

    What is much is written at once, so that the transport below can say that the client does not take it.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Write it when this turn ends, or when it is much."""
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= MOST_GATHERED:
            self._flush()

    def close(self) -> None:
        """Close once all is written."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether nothing more is written."""
        return self._transport.is_closing()

    def _flush(self) -> None:
        if self._pieces:
            self._transport.write(b"".join(self._pieces))
            self._pieces.clear()
            self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What it cannot read, or not in time, is answered with problem details and ends it."""

    _in_head = True
    _arrived = 0
    """Bytes of reads since something was complete: a head, or a piece of a body."""
    _is_much = False
    """Whether the head that this read completes, if any, may be too large."""
    _deadline: asyncio.TimerHandle | None = None

    def __init__(self, *given: Any, unread: Unread, **more: Any) -> None:
        super().__init__(*given, **more)
        self._unread = unread
        # Not answered yet, in order: more than one where a client sends the next before it has the answer.
        self._under_way: deque[RequestResponseCycle] = deque()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait for a head, unless there are too many of us."""
        super().connection_made(transport)
        # Whatever handlers the process has: an address may hold a ticket, and no log does.
        self.access_log = False
        self.transport = cast("asyncio.Transport", _Gathered(transport, self.loop))
        if len(self.connections) > _most_connections():
            sentence = "too many connections are open: send it again in a moment"
            self._end(Problem(HTTPStatus.SERVICE_UNAVAILABLE, sentence, after=_CROWDED_SECONDS))
            return
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting, and tell whoever answers: uvicorn tells the last request alone, be it answered or in line."""
        self._stop_waiting()
        super().connection_lost(exc)
        for cycle in self._under_way:
            cycle.disconnected = not cycle.response_complete
            cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Read on; end the connection when the head is too large, or begin to wait for the rest of it."""
        if self.transport.is_closing():
            return
        self._arrived += len(data)
        self._is_much = self._arrived > MOST_HEADERS
        self._read(data)
        if self.transport.is_closing():
            return
        if not self._in_head and (self.cycle is None or not self.cycle.more_body):
            self._arrived = 0
        elif self._arrived > MOST_HEADERS:
            self._end(_too_large())
        elif self._in_head and self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _read(self, data: bytes) -> None:
        """Parse, in the place of uvicorn's own way, which writes a line for each request that is none."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            log.debug("an offer of another protocol was passed over")
        except httptools.HttpParserError:
            sentence = "this is not HTTP/1.1 as RFC 9112 has it: look at your client"
            self._end(Problem(HTTPStatus.BAD_REQUEST, sentence))

    def on_message_begin(self) -> None:
        """Read a head."""
        super().on_message_begin()
        self._in_head = True

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._arrived = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Read a body, and answer; when the head was too large, with that alone."""
        self._in_head = False
        self._stop_waiting()
        offers_upgrade = self.parser.should_upgrade()
        fault = fault_of(self.parser.get_http_version(), self.headers, offers_upgrade=offers_upgrade)
        self._arrived = 0
        if self._is_much and sum(len(name) + len(value) for name, value in self.headers) > MOST_HEADERS:
            fault = _too_large()
        if fault is not None:
            self._unread.note(fault)
            self.app = fault.response()
        super().on_headers_complete()
        # The request has its head: fields that come after the body go where nobody looks.
        self.headers = []
        while self._under_way and self._under_way[0].response_complete:
            self._under_way.popleft()
        self._under_way.append(self.cycle)
        if offers_upgrade:
            # The parser reads nothing more of this connection.
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Say that nothing of the body is awaited any more."""
        self.scope[WHOLE] = True  # type: ignore[literal-required] # a scope may bear more than the specification names
        super().on_message_complete()

    def _too_slow(self) -> None:
        self._deadline = None
        if self._in_head:
            sentence = f"the headers did not arrive in {HEAD_SECONDS:g} s"
            self._end(Problem(HTTPStatus.REQUEST_TIMEOUT, sentence))

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self, problem: Problem) -> None:
        """Answer, unless an answer is under way already, and close."""
        self._stop_waiting()
        self._unread.note(problem)
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.write(_raw(problem))
        elif cycle.more_body and not (cycle.response_started or self.pipeline):
            # It is the body of this request that cannot be read: whoever works on it is not heard any more.
            cycle.disconnected = True
            self.transport.write(_raw(problem))
        self.transport.close()


def _most_connections() -> int:
    """Return how many may be open: files have to be left for the bus, for issuers, and for those who are refused."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if allowed == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, allowed * 3 // 4)


def _too_large() -> Problem:
    sentence = f"the headers hold more than {MOST_HEADERS >> 10} KiB"
    return Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, sentence, headers={"connection": "close"})


def _raw(problem: Problem) -> bytes:
    answer = problem.response()
    headers = dict(answer.raw_headers) | {b"connection": b"close"}
    lines = (name + b": " + value + b"\r\n" for name, value in headers.items())
    return STATUS_LINE[problem.status] + b"".join(lines) + b"\r\n" + bytes(answer.body)
