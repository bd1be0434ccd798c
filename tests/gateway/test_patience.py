"""Slow clients: whoever holds a connection and brings nothing, or takes nothing, is ended, and nobody else notices."""

import asyncio
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.bus.lane import until
from tests.gateway.conftest import KEY, Caller
from workers.gateway import patience, protocol, reading
from workers.gateway.metrics import DoorMetrics
from workers.gateway.patience import STALLED_SECONDS, WAITING_SECONDS, Patience

REQUEST = (
    f"POST /events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
    "ce-specversion: 1.0\r\nce-id: p-1\r\nce-source: /ci\r\nce-type: echo.requested\r\ncontent-length: 100\r\n\r\n"
).encode()
UNKNOWN = REQUEST.replace(KEY.encode(), b"slk_" + b"0" * 40)


class Cycle:
    """A request; none is like another."""

    def __init__(self, *, complete: bool) -> None:
        self.response_complete = complete


class Connection:
    """A connection that stands where a test puts it."""

    def __init__(self) -> None:
        self.cycle: Any = None
        self.unsent = 0
        self.flow = SimpleNamespace(write_paused=False)
        self.transport = SimpleNamespace(abort=self._abort, get_write_buffer_size=lambda: self.unsent)
        self.aborted = False

    def _abort(self) -> None:
        self.aborted = True


class Watched:
    """Connections that are looked at, each second of a clock of their own."""

    def __init__(self) -> None:
        self.connection = Connection()
        self.now = 0.0
        self.metrics = DoorMetrics()
        self.patience = Patience({self.connection}, self.metrics, clock=lambda: self.now)

    def seconds(self, count: float) -> bool:
        """Let time pass, and return whether the connection was ended."""
        end = self.now + count
        while self.now < end:
            self.now += 1
            self.patience.look()
        return self.connection.aborted


@pytest.mark.parametrize("last", [None, Cycle(complete=True)])
def test_connection_without_a_request_is_ended_in_time(last: Any) -> None:
    """Idle, in a head that does not end, or in the rest of a body after the answer: all the same from outside."""
    watched = Watched()
    watched.connection.cycle = last

    assert not watched.seconds(WAITING_SECONDS)
    assert watched.seconds(2)
    assert watched.metrics.cut == 1


def test_connection_that_is_used_stays() -> None:
    """Each request begins anew, and one that is worked on may take its time."""
    watched = Watched()
    for _ in range(3):
        watched.connection.cycle = Cycle(complete=True)
        assert not watched.seconds(WAITING_SECONDS)
    watched.connection.cycle = Cycle(complete=False)
    assert not watched.seconds(10 * WAITING_SECONDS)


def test_answer_that_nobody_takes_is_ended_in_time() -> None:
    """A client may read slowly; one that reads nothing holds its place no longer."""
    watched = Watched()
    watched.connection.cycle = Cycle(complete=False)
    watched.connection.flow.write_paused = True
    for watched.connection.unsent in (90, 60, 30):
        assert not watched.seconds(STALLED_SECONDS)
    assert watched.seconds(2)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the door lose its patience within a moment."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(patience, "WAITING_SECONDS", 0.5)
    monkeypatch.setattr(patience, "_INTERVAL", 0.1)
    monkeypatch.setattr(reading, "BODY_SECONDS", 0.5)


@pytest.fixture
async def dripping(hurried: None, caller: Caller) -> AsyncIterator["Dripping"]:
    """Give a client that brings one byte at a time."""
    client = Dripping(caller)
    yield client
    client.close()


class Dripping:
    """A raw connection to the door."""

    def __init__(self, caller: Caller) -> None:
        where = urlsplit(caller.url)
        self._where = (where.hostname or "", where.port or 0)
        self._writer: asyncio.StreamWriter | None = None
        self.heard = b""

    async def drip(self, begin: bytes, each: bytes) -> bytes:
        """Send the beginning, then a piece every so often until the door ends it; return what was answered."""
        reader, self._writer = await asyncio.open_connection(*self._where)
        self._writer.write(begin)
        hearing = asyncio.create_task(self._hear(reader))

        def ended() -> bool:
            if not hearing.done() and self._writer is not None:
                self._writer.write(each)
            return hearing.done()

        await until(ended, within=30, what="the door ends the connection")
        await hearing
        return self.heard

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        try:
            while piece := await reader.read(4096):
                self.heard += piece
        except ConnectionError:
            return

    def close(self) -> None:
        """End it."""
        if self._writer is not None:
            self._writer.close()


async def test_head_that_never_ends_is_cut(dripping: Dripping, caller: Caller) -> None:
    """A client that brings a header for ever is told, or just ended; others are served meanwhile."""
    heard = await dripping.drip(b"POST /events HTTP/1.1\r\n", b"x: y\r\n")

    assert heard == b"" or heard.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 431 "))
    assert (await caller.echo("after")).status == 202


async def test_body_that_never_ends_is_cut(dripping: Dripping, caller: Caller) -> None:
    """Somebody we know gets 408 for a body that does not arrive, and the connection ends."""
    heard = await dripping.drip(REQUEST.replace(b"length: 100", b"length: 100000"), b"x")

    assert heard.startswith(b"HTTP/1.1 408 ")
    assert (await caller.echo("after")).status == 202


async def test_body_of_somebody_unknown_is_cut_after_its_answer(dripping: Dripping, caller: Caller) -> None:
    """401 needs no body: whoever goes on to send one afterwards is ended."""
    heard = await dripping.drip(UNKNOWN.replace(b"length: 100", b"length: 100000"), b"x")

    assert heard.startswith(b"HTTP/1.1 401 ")
    assert (await caller.echo("after")).status == 202


async def test_many_who_bring_nothing_stop_nobody(hurried: None, caller: Caller) -> None:
    """A hundred connections that say nothing are all ended, and events come in meanwhile."""
    where = urlsplit(caller.url)
    silent = [socket.create_connection((where.hostname or "", where.port or 0)) for _ in range(100)]
    for one in silent:
        one.setblocking(False)
    assert (await caller.echo("meanwhile")).status == 202

    def ended() -> bool:
        return all(_is_ended(one) for one in silent)

    await until(ended, within=30, what="all of them are ended")
    for one in silent:
        one.close()


def _is_ended(connection: socket.socket) -> bool:
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True
