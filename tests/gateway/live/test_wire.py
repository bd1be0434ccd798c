"""Long tales on the wire: whoever is told much holds up nobody, and whoever takes nothing costs little memory."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from functools import partial
from typing import cast

import uvicorn
from starlette.types import Message, Receive, Scope, Send

from tests.bus.lane import until
from workers.gateway.live.tale import Told
from workers.gateway.live.wire import EventStream
from workers.gateway.metrics import DoorMetrics
from workers.gateway.protocol import BoundedProtocol, Unread

PIECE = b"x" * 1000


async def much(told: list[int], count: int) -> AsyncGenerator[Told, None]:
    """Tell as much as is heard, without ever waiting."""
    for number in range(count):
        told.append(number)
        yield Told("run", str(number), PIECE)


async def test_a_long_tale_leaves_others_their_turns() -> None:
    """The loop goes round many times while a follower is told what is kept in memory."""
    turns, received = 0, 0

    async def send(message: Message) -> None:
        nonlocal received
        received += len(message.get("body", b""))

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("nobody sends anything")

    stream = asyncio.create_task(EventStream(much([], 50_000))({"type": "http"}, receive, send))
    while not stream.done():
        await asyncio.sleep(0)
        turns += 1
    await stream

    assert received > 50_000 * len(PIECE)
    assert turns > 10


async def test_who_reads_nothing_is_told_no_more_than_the_line_holds() -> None:
    """The tale stands still once the buffers of the connection are full; none of it waits in our memory."""
    told: list[int] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await EventStream(much(told, 200_000))(scope, receive, send)

    protocol = cast("type[asyncio.Protocol]", partial(BoundedProtocol, unread=Unread(DoorMetrics())))
    config = uvicorn.Config(application, http=protocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await until(lambda: server.started, within=30)
    with socket.create_connection(listening.getsockname()) as lazy:
        lazy.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(lambda: bool(told), within=30)
        before = -1
        while before != len(told):
            before = len(told)
            await asyncio.sleep(0.2)
        (connection,) = server.server_state.connections
        assert connection.transport.get_write_buffer_size() < 1_000_000
        assert len(told) < 50_000
    server.should_exit = True
    await serving
