"""The server below every local service that speaks HTTP."""

import aiohttp
import pytest
from aiohttp import web

from workers.local.loopback import Loopback


def _application() -> web.Application:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="here")

    application = web.Application()
    application.router.add_get("/", answer)
    return application


async def test_answers_from_its_start_to_its_end() -> None:
    """Stopped, it says by its name that it is not there; stopping twice is fine."""
    server = Loopback("the example")
    await server.start(_application())
    async with aiohttp.ClientSession() as session:
        async with session.get(server.url) as answer:
            assert await answer.text() == "here"
        url = server.url
        await server.stop()
        await server.stop()
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)
    with pytest.raises(RuntimeError, match="the example is not running"):
        assert server.url


async def test_a_port_that_is_taken_leaves_it_stopped() -> None:
    """It can be started on another one."""
    first, second = Loopback("the first"), Loopback("the second")
    await first.start(_application())
    with pytest.raises(OSError, match="address"):
        await second.start(_application(), first.port)
    with pytest.raises(RuntimeError, match="the second is not running"):
        assert second.port
    await second.start(_application())
    assert second.port != first.port
    await second.stop()
    await first.stop()
