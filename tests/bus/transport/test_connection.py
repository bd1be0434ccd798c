"""Connecting: what is no address is said at once, what does not answer soon, and no password is ever shown."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from workers.bus.transport.connection import connect
from workers.failures import Invalid, Unavailable
from workers.local.nats import NatsServer

_ALIVE = """
import asyncio, sys
from workers.bus.transport.connection import connect

async def main():
    before = "aiohttp" in sys.modules
    connection = await connect(sys.argv[1], identity="tester", first_wait=30)
    print(before, await connection.alive(timeout=30) is not None, "aiohttp" in sys.modules)
    await connection.close()

asyncio.run(main())
"""


def _alive(url: str) -> str:
    """Return what a fresh process says that connects."""
    return subprocess.run([sys.executable, "-c", _ALIVE, url], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("url", ["garbage", "http://127.0.0.1:4222", "nats://", "nats://host:port", ""])
async def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    """The sentence holds what was written and how to write it."""
    with pytest.raises(Invalid, match="write nats://HOST:PORT"):
        await connect(url, identity="tester")


async def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    """Identities are seeds by reference; the sentence does not repeat the secret."""
    with pytest.raises(Invalid) as refused:
        await connect("nats://ada:canary-password@127.0.0.1:4222", identity="tester")

    assert "canary" not in str(refused.value)


async def test_a_server_that_is_not_there_is_a_sentence() -> None:
    """It names the address, the variable, and how to start one."""
    with pytest.raises(Unavailable, match="sealane up"):
        await connect("nats://127.0.0.1:1", identity="tester", first_wait=0.5)


async def test_what_websockets_need_is_loaded_for_them_alone(tmp_path: Path) -> None:
    """A fresh process reaches the bus without an HTTP client, and over a WebSocket with one."""
    sockets = 'websocket { listen: "127.0.0.1:-1", no_tls: true }'
    async with NatsServer(tmp_path / "nats", cluster=sockets) as server:
        (ports,) = (server.folder / "ports").glob("*.ports")
        (over_websocket,) = json.loads(ports.read_text())["websocket"]

        said = {url: await asyncio.to_thread(_alive, url) for url in (server.url, over_websocket)}

    assert said == {server.url: "False True False\n", over_websocket: "False True True\n"}
