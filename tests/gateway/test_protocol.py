"""Connections that bring no request: too slow, too large, too many, or something else than HTTP."""

import asyncio
import contextlib
import json
import logging
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

import pytest

from tests.gateway.conftest import KEY, Caller
from workers.gateway import protocol
from workers.gateway.problems import MEDIA_TYPE

_HEAD = b"POST /events HTTP/1.1\r\nhost: x\r\n"


@asynccontextmanager
async def connected(caller: Caller) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection to the door while the block runs."""
    where = urlsplit(caller.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    yield reader, writer
    writer.close()


async def to_the_end(reader: asyncio.StreamReader) -> tuple[int, str, dict[str, str]]:
    """Read until the door closes; return status and detail, and the headers. No answer is status 0."""
    received = b""
    try:
        while piece := await asyncio.wait_for(reader.read(65536), 30):
            received += piece
    except ConnectionResetError:
        pass
    if not received:
        return 0, "", {}
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert headers["content-type"] == MEDIA_TYPE
    return int(first.split()[1]), json.loads(body)["detail"], headers


@pytest.mark.parametrize("sent", [b"", b"P", _HEAD, _HEAD + b"ce-id: "])
async def test_head_that_does_not_come_ends_the_connection(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Whoever brings no whole head in time, or nothing at all, is told so and holds nothing any longer."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    async with connected(caller) as (reader, writer):
        writer.write(sent)
        status, detail, _ = await to_the_end(reader)

    assert (status, "did not arrive" in detail) == (408, True)
    assert (await caller.echo("after")).status == 202


async def test_trickled_head_has_the_same_time(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then gains nothing: the time is that of the whole head."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    async with connected(caller) as (reader, writer):

        async def trickle() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.05)

        writer.write(_HEAD + b"x-much: ")
        trickling = asyncio.create_task(trickle())
        status, _, _ = await to_the_end(reader)
        trickling.cancel()

    assert status == 408


async def test_second_head_of_a_connection_has_its_time_too(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that was answered buys no rest for the next one."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    async with connected(caller) as (reader, writer):
        writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b'{"live":true}'), 30)
        writer.write(_HEAD)
        status, _, _ = await to_the_end(reader)

    assert status == 408


async def test_head_without_end_is_cut(caller: Caller) -> None:
    """What the parser keeps of a head is bounded, however it is cut into pieces."""
    async with connected(caller) as (reader, writer):
        writer.write(_HEAD + b"x-much: ")
        for _ in range(64):
            writer.write(b"x" * 1024)
        status, _, _ = await to_the_end(reader)

    assert status in {0, 431}
    assert (await caller.echo("after")).status == 202


async def test_one_connection_too_many_is_told_to_come_again(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are bounded; those that are open are served on."""
    await caller.echo("opens the connection that stays")
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 1)
    async with connected(caller) as (reader, _):
        status, _, headers = await to_the_end(reader)

    assert (status, headers["retry-after"]) == (503, "1")
    assert (await caller.echo("after")).status == 202


async def test_connections_leave_files_for_the_bus(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where few files may be open, fewer connections are: the door does not come to its end with them."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2, 2))
    async with connected(caller), connected(caller) as (reader, _):
        status, _, headers = await to_the_end(reader)

    assert (status, headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\nhello\r\n\r\n"])
async def test_what_is_no_http_is_answered_in_words(caller: Caller, sent: bytes) -> None:
    """A client that speaks TLS or something else reads a sentence."""
    async with connected(caller) as (reader, writer):
        writer.write(sent)
        status, detail, _ = await to_the_end(reader)

    assert (status, "not HTTP/1.1" in detail) == (400, True)


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
async def test_nobody_is_upgraded(caller: Caller, upgrade: str) -> None:
    """Another protocol is not spoken; the request itself is answered."""
    async with connected(caller) as (reader, writer):
        writer.write(
            f"GET /livez HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
            f"connection: upgrade, close\r\nupgrade: {upgrade}\r\n\r\n".encode()
        )
        answer = await asyncio.wait_for(reader.read(65536), 30)

    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_body_of_a_request_that_offers_an_upgrade_is_not_lost_in_silence(caller: Caller) -> None:
    """The parser reads no body after an offer of HTTP/2, as curl makes one: the answer says what to leave out."""
    for body in (b"content-length: 5\r\n\r\nhello", b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"):
        async with connected(caller) as (reader, writer):
            writer.write(_HEAD + b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\n" + body)
            status, detail, _ = await to_the_end(reader)
        assert (status, "without the header Upgrade" in detail) == (400, True)


@pytest.mark.parametrize("body", [b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n", b"5\r\nhello world\r\n0\r\n\r\n"])
async def test_chunks_that_are_none_are_answered_in_words(caller: Caller, body: bytes) -> None:
    """A body which cannot be read is no reason to hang up without an answer."""
    async with connected(caller) as (reader, writer):
        writer.write(_HEAD + f"authorization: Bearer {KEY}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        await writer.drain()
        writer.write(body)
        status, detail, _ = await to_the_end(reader)

    assert (status, "not HTTP/1.1" in detail) == (400, True)
    assert (await caller.echo("after")).status == 202


@pytest.mark.parametrize("status", [401, 202])
async def test_what_comes_after_the_body_counts_for_nothing(caller: Caller, status: int) -> None:
    """Neither who calls nor what it brings is said there: no proxy in front has looked at it."""
    known = f"authorization: Bearer {KEY}\r\n"
    first, last = (known, "ce-id: other\r\n") if status == HTTPStatus.ACCEPTED else ("", known)
    event = "ce-specversion: 1.0\r\nce-source: /ci\r\nce-type: echo.requested\r\ncontent-type: application/json\r\n"
    head = f"ce-id: first\r\n{event}{first}connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    async with connected(caller) as (reader, writer):
        writer.write(_HEAD + f'{head}11\r\n{{"message": "hi"}}\r\n0\r\n{last}\r\n'.encode())
        answer = await asyncio.wait_for(reader.read(), 60)

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert (b'"id":"first"' in answer, b"other" in answer) == (status == HTTPStatus.ACCEPTED, False)


@pytest.mark.parametrize("piece", [b"x", b"x: y\r\n"], ids=["one field", "many fields"])
async def test_what_comes_after_the_body_is_bounded(caller: Caller, piece: bytes) -> None:
    """A stranger who goes on for ever after the last chunk is cut off: the parser keeps what is not complete."""
    async with connected(caller) as (reader, writer):
        writer.write(_HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\n")
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(120):
                while not reader.at_eof():
                    writer.write(piece * 2000)
                    await writer.drain()
                    await asyncio.sleep(0)

    assert (await caller.echo("after")).status == 202


async def test_many_requests_at_once_are_no_large_head(caller: Caller) -> None:
    """What is counted of a head is its own bytes: those before it in the same packet were answered already."""
    one = b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    async with connected(caller) as (reader, writer):
        writer.write((one + b"\r\n") * 1200 + one)
        answers = await asyncio.wait_for(reader.readuntil(b'{"live":true}'), 120)
        writer.write(b"connection: close\r\n\r\n")
        answers += await asyncio.wait_for(reader.read(), 120)

    assert answers.count(b"HTTP/1.1 200 ") == 1201


FAULTS = {
    "no host": (b"GET /livez HTTP/1.1\r\n\r\n", 400, "Host is missing"),
    "two hosts": (b"GET /livez HTTP/1.1\r\nhost: x\r\nHost: x\r\n\r\n", 400, "Host is there twice"),
    "two hosts in the old form": (b"GET /livez HTTP/1.0\r\nhost: x\r\nhost: y\r\n\r\n", 400, "Host is there twice"),
    "a host that is none": (b"GET /livez HTTP/1.1\r\nhost: x/y@z\r\n\r\n", 400, "Host holds no host"),
    "a path for a port": (b"GET /livez HTTP/1.1\r\nhost: x:http\r\n\r\n", 400, "Host holds no host"),
    "two lengths": (_HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!", 400, "not HTTP/1.1"),
    "a length twice": (_HEAD + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello", 400, "not HTTP/1.1"),
    "lengths in a list": (_HEAD + b"content-length: 5, 5\r\n\r\nhello", 400, "not HTTP/1.1"),
    "a length with a sign": (_HEAD + b"content-length: +5\r\n\r\nhello", 400, "not HTTP/1.1"),
    "length and coding": (_HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", 400, "not HTTP/1.1"),
    "coding and length": (_HEAD + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n", 400, "not HTTP/1.1"),
    "a length at the end": (
        _HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\ncontent-length: 5\r\n\r\n",
        400,
        "not HTTP/1.1",
    ),
    "chunked is not last": (_HEAD + b"transfer-encoding: chunked, identity\r\n\r\n", 400, "not HTTP/1.1"),
    "a coding that is none": (_HEAD + b"transfer-encoding: xchunked\r\n\r\n", 400, "not HTTP/1.1"),
    "a coding besides": (_HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "other than chunked"),
    "a coding besides, in a line of its own": (
        _HEAD + b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        501,
        "other than chunked",
    ),
    "a folded header": (_HEAD + b"x: a\r\n b\r\n\r\n", 400, "not HTTP/1.1"),
    "a space before the colon": (b"GET /livez HTTP/1.1\r\nhost : x\r\n\r\n", 400, "not HTTP/1.1"),
    "a tunnel": (b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n", 400, "not HTTP/1.1"),
    "HTTP/2 at once": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "not HTTP/1.1"),
    "HTTP/2 in the old form": (b"GET /livez HTTP/2.0\r\nhost: x\r\n\r\n", 505, "nothing but HTTP/1.1"),
    "HTTP/0.9": (b"GET /livez\r\n\r\n", 505, "nothing but HTTP/1.1"),
}


async def test_what_can_be_read_in_two_ways_is_not_answered(caller: Caller) -> None:
    """A proxy may take another part of it for the next request: the connection ends with the answer (RFC 9112)."""
    found = {}
    for case, (sent, _, words) in FAULTS.items():
        async with connected(caller) as (reader, writer):
            writer.write(sent + b"GET /readyz HTTP/1.1\r\nhost: smuggled\r\n\r\n")
            status, detail, headers = await to_the_end(reader)
            found[case] = sent, status, words if words in detail and headers["connection"] == "close" else detail

    assert found == FAULTS


async def test_one_host_is_enough(caller: Caller) -> None:
    """Any name or address, with a port or without; HTTP/1.0 needs none at all."""
    hosts = (b"1.1\r\nhost: ", b"1.1\r\nhost: x:80", b"1.1\r\nHOST: [::1]:80", b"1.1\r\nhost: a_b.c-d:", b"1.0")
    for host in hosts:
        async with connected(caller) as (reader, writer):
            writer.write(b"GET /livez HTTP/" + host + b"\r\nconnection: close\r\n\r\n")
            assert (await asyncio.wait_for(reader.readline(), 60)).startswith(b"HTTP/1.1 200 ")


async def test_a_flood_of_what_is_no_http_is_one_line_in_the_log(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever sends such things as fast as it can fills no disk; the next line says how many there were."""
    with caplog.at_level(logging.INFO):
        for _ in range(50):
            async with connected(caller) as (reader, writer):
                writer.write(b"\x16\x03\x01\x02\x00\x01")
                assert (await to_the_end(reader))[0] == 400

    lines = [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]
    assert [line for line in lines if "no request (400)" in line or "Invalid HTTP" in line] == lines[:1]
