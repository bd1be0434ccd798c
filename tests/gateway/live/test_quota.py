"""Open streams of one principal are bounded, over HTTP and gRPC together, and a place is given back at once."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import aiohttp
import grpc.aio
import pytest
from google.rpc import error_details_pb2

from tests.bus.lane import Lane, until
from tests.gateway.conftest import KEY, SLOW_KEY, attributes
from tests.gateway.live.test_progress import follow
from tests.gateway.rpc.conftest import Open, details, event, open_doors, say_started
from tests.gateway.test_metrics import scraped
from workers.gateway.callers import hash_of
from workers.gateway.principals import Policy, Principal

_MOST = 3
_TOKEN = {"authorization": f"Bearer {KEY}"}
_OTHER = {"authorization": f"Bearer {SLOW_KEY}"}


def policy_with(**more: int) -> Policy:
    """Know two who may follow everything, the first of them only so much at a time."""
    may = {"may_publish": [{"type": "echo.requested"}], "may_see": [{}], "rate": 60_000, "burst": 10_000}
    ci = {"name": "ci", "api_keys": [hash_of(KEY)]} | may | more
    other = {"name": "other", "api_keys": [hash_of(SLOW_KEY)]} | may
    return Policy.model_validate({"principals": [ci, other]})


class Followers:
    """Streams over HTTP that stay open."""

    def __init__(self, doors: Open) -> None:
        self._doors = doors
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Begin."""
        await self._open.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let all go."""
        await self._open.aclose()

    async def follow(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        """Open one, and hear its first bytes."""
        given = {"accept": "text/event-stream"} | _TOKEN | headers
        session = await self._open.enter_async_context(aiohttp.ClientSession())
        answer = await self._open.enter_async_context(session.get(f"{self._doors.http.url}{path}", headers=given))
        if answer.status == 200:
            await answer.content.readline()
        return answer


@pytest.fixture
async def doors(lane: Lane, tmp_path: Path) -> AsyncIterator[Open]:
    """Give doors at which `ci` may have few streams."""
    async with open_doors(lane, tmp_path, policy_with(open_streams=_MOST)) as found:
        yield found


@pytest.fixture
async def run(doors: Open, lane: Lane) -> str:
    """Give a run that goes on."""
    (receipt,) = await doors.rpc.publish(event("q-1"))
    await say_started(lane, receipt.run)
    return str(receipt.run)


def taken(doors: Open) -> int:
    """Return how many places `ci` has taken."""
    return doors.door.metrics.streams["ci"]


async def test_one_stream_too_many_is_told_how_many_there_may_be(doors: Open, run: str) -> None:
    """A run, a list and a call of gRPC are one each; the next is told the limit, and others are told their runs."""
    async with Followers(doors) as many:
        await many.follow(f"/progress/{run}")
        await many.follow("/runs")
        call = doors.rpc.tail(run)
        await call.read()
        assert 'sealane_door_streams{principal="ci"} 3.0' in scraped(doors.door.metrics)

        for path in (f"/progress/{run}", "/runs", "/events/q-1"):
            refused = await many.follow(path)
            said = await refused.json(content_type="application/problem+json")
            assert (refused.status, refused.headers["retry-after"], said["limit"]) == (429, "5", _MOST)
            assert "ci has 3 streams open here" in said["detail"]
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await doors.rpc.tail(run).read()
        info, wait = (details(ended.value)[name] for name in ("ErrorInfo", "RetryInfo"))
        assert isinstance(info, error_details_pb2.ErrorInfo)
        assert isinstance(wait, error_details_pb2.RetryInfo)
        assert ended.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (info.metadata["limit"], wait.retry_delay.seconds) == ("3", 5)

        assert (await many.follow(f"/progress/{run}", **_OTHER)).status == 200
        assert (await doors.http.ask("GET", "/runs", headers=_TOKEN)).status == 200
        assert (await doors.http.echo("meanwhile")).status == 202
        call.cancel()
    await until(lambda: taken(doors) == 0)


async def test_a_ticket_takes_a_place_of_whoever_got_it(doors: Open, run: str) -> None:
    """It is no way around: the place is that of the principal."""
    async with Followers(doors) as many:
        for _ in range(_MOST):
            await many.follow(f"/progress/{run}")
        given = await doors.http.ask("POST", "/tickets", json.dumps({"run": run}), _TOKEN)
        answer = await doors.http.ask("GET", f"/progress/{run}?ticket={given.json['ticket']}")
    assert (given.status, answer.status) == (201, 429)


async def test_a_stream_that_ends_gives_its_place_back(doors: Open, run: str, lane: Lane, echo: None) -> None:
    """By its end, with an answer that is none, and when the client lets go or is gone without a word."""
    complete = (await doors.http.echo("q-2")).json["run"]
    for _ in range(_MOST + 1):
        assert (await follow(doors.http, complete))[-1]["event"] == "completed"
    end = (await follow(doors.http, complete))[-1]["id"]
    for _ in range(_MOST + 1):
        headers = _TOKEN | {"last-event-id": end}
        assert (await doors.http.ask("GET", f"/progress/{complete}", headers=headers)).status == 204
        assert (await doors.http.ask("GET", f"/progress/{run}?after=x", headers=_TOKEN)).status == 400
    assert taken(doors) == 0

    async with Followers(doors) as many:
        for _ in range(_MOST):
            await many.follow(f"/progress/{run}")
    await until(lambda: taken(doors) == 0)
    for _ in range(_MOST):
        await vanish(doors.http.url, run)
    await until(lambda: taken(doors) == 0)


async def vanish(url: str, run: str) -> None:
    """Open a stream, and end its connection by a reset."""
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(f"GET /progress/{run} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n".encode())
    await asyncio.wait_for(reader.readuntil(b"event: progress"), 60)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_a_client_that_goes_dark_is_missed_soon(doors: Open, run: str) -> None:
    """No end and no reset may ever come of it: its connection ends half a minute after a heartbeat got no answer."""
    async with Followers(doors) as many:
        await many.follow(f"/progress/{run}")
        (here, *_) = doors.door._server.server_state.connections
        there = here.transport.get_extra_info("socket")
        assert there.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


async def test_who_asks_for_the_head_alone_holds_nothing(doors: Open, run: str) -> None:
    """HEAD is answered with the head, and no stream is open after it."""
    for _ in range(_MOST + 1):
        answer = await doors.http.ask("HEAD", f"/progress/{run}", headers=_TOKEN)
        assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    await until(lambda: taken(doors) == 0)


async def test_a_client_that_opens_a_thousand_streams_leaves_all_others_served(lane: Lane, tmp_path: Path) -> None:
    """It gets as many as a principal has by default, is told so of each of the rest, and nobody else notices."""
    async with open_doors(lane, tmp_path, policy_with()) as doors:
        run = (await doors.http.echo("q-3")).json["run"]
        await say_started(lane, run)
        most = Principal.model_fields["open_streams"].default
        statuses: list[int] = []
        connector = aiohttp.TCPConnector(limit=most + 20)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as greedy:

            async def open_one() -> None:
                async with greedy.get(f"{doors.http.url}/progress/{run}", headers=_TOKEN) as answer:
                    statuses.append(answer.status)
                    await answer.read()

            opening = [asyncio.create_task(open_one()) for _ in range(1000)]
            await until(lambda: len(statuses) == 1000, within=100)
            assert (statuses.count(200), statuses.count(429)) == (most, 1000 - most)

            other = {name.replace("_", "-"): value for name, value in attributes("q-4").items()} | _OTHER
            assert (await doors.http.ask("POST", "/events", '{"message": "hello"}', other)).status == 202
            async with Followers(doors) as others:
                for path in (f"/progress/{run}", "/runs"):
                    assert (await others.follow(path, **_OTHER)).status == 200
            for one in opening:
                one.cancel()
            await asyncio.gather(*opening, return_exceptions=True)
        await until(lambda: taken(doors) == 0)


@pytest.mark.parametrize("path", ["/runs", "/progress/{run}"])
async def test_a_place_is_given_back_by_who_asked_for_more_before_it_went(doors: Open, run: str, path: str) -> None:
    """A second request in line behind the stream does not keep it open when the connection is gone."""
    where = urlsplit(doors.http.url)
    known = f"host: x\r\nauthorization: Bearer {KEY}\r\naccept: text/event-stream\r\n\r\n"
    for _ in range(_MOST):
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        writer.write(f"GET {path.format(run=run)} HTTP/1.1\r\n{known}GET /livez HTTP/1.1\r\n{known}".encode())
        assert (await asyncio.wait_for(reader.readline(), 60)).startswith(b"HTTP/1.1 200 ")
        writer.transport.abort()

    await until(lambda: taken(doors) == 0, what="the places to be given back")
