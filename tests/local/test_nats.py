"""The embedded nats-server."""

import asyncio
import os
import signal
import socket
import stat
import sys
from pathlib import Path

import nats
import psutil
import pytest

from tests.bus.lane import until
from workers.local.nats import NatsServer, NatsServerError


async def _store(server: NatsServer, text: bytes) -> None:
    client = await nats.connect(server.url, max_reconnect_attempts=0, connect_timeout=60)
    stream = client.jetstream(timeout=60)
    await stream.add_stream(name="THINGS", subjects=["thing"])
    await stream.publish("thing", text)
    await client.close()


async def _first(server: NatsServer) -> bytes:
    client = await nats.connect(server.url, max_reconnect_attempts=0, connect_timeout=60)
    message = await client.jetstream(timeout=60).get_msg("THINGS", seq=1)
    await client.close()
    return message.data or b""


async def test_what_is_stored_survives_kill_9_on_the_same_port(tmp_path: Path) -> None:
    """After kill -9 the server comes back on the same port with what it acknowledged."""
    async with NatsServer(tmp_path) as server:
        await _store(server, b"kept")
        url = server.url
        await server.kill()
        await server.start()

        assert server.url == url
        assert await _first(server) == b"kept"


async def test_the_port_given_is_the_port_used(tmp_path: Path) -> None:
    """A port that was chosen once is kept."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with NatsServer(tmp_path, port=port) as server:
        assert server.port == port


async def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    """Spaces, quotes and letters beyond ASCII reach the server's configuration as they are."""
    async with NatsServer(tmp_path / 'Müllers "box" 箱') as server:
        await _store(server, b"kept")

        assert await _first(server) == b"kept"


async def test_a_port_that_is_taken_is_an_error_that_says_so(tmp_path: Path) -> None:
    """Two servers cannot share a port; the error carries the server's own words."""
    async with NatsServer(tmp_path / "one") as one:
        with pytest.raises(NatsServerError, match="address already in use"):
            await NatsServer(tmp_path / "two", port=one.port).start()


async def test_a_wrong_configuration_is_an_error_that_says_where(tmp_path: Path) -> None:
    """A block of permissions that does not parse ends the start at once."""
    with pytest.raises(NatsServerError, match="line"):
        await NatsServer(tmp_path, authorization="authorization { users = [ {").start()


async def test_a_paused_server_answers_nobody_until_it_is_resumed(tmp_path: Path) -> None:
    """SIGSTOP keeps connections open and silent; SIGCONT brings the answer."""
    async with NatsServer(tmp_path) as server:
        server.pause()
        # Every thread stops by itself, a moment after the signal.
        await until(lambda: psutil.Process(server.pid).status() == psutil.STATUS_STOPPED, what="it stands still")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 0.5)
        server.resume()

        assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"INFO ")
        writer.close()


async def test_only_the_owner_may_read_the_configuration(tmp_path: Path) -> None:
    """The configuration names every identity, so it is nobody else's business."""
    async with NatsServer(tmp_path):
        assert stat.S_IMODE((tmp_path / "nats-server.conf").stat().st_mode) == 0o600


async def test_monitoring_is_on_loopback_when_asked_for(tmp_path: Path) -> None:
    """Monitoring asks for no password, so it listens on loopback only."""
    async with NatsServer(tmp_path, monitoring=True) as server:
        assert server.monitoring_url is not None
        assert server.monitoring_url.startswith("http://127.0.0.1:")


async def test_leaving_the_block_ends_a_paused_server(tmp_path: Path) -> None:
    """Nothing stays behind, not even a frozen process."""
    async with NatsServer(tmp_path) as server:
        pid = server.pid
        server.pause()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


_PARENT = """
import asyncio, sys
from pathlib import Path
from workers.local.nats import NatsServer

async def main():
    async with NatsServer(Path(sys.argv[1])) as server:
        print(server.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
async def test_the_server_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    """Kill -9 of the parent leaves no server behind."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _PARENT,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    await parent.communicate()

    await asyncio.wait_for(_gone(pid), 30)


async def _gone(pid: int) -> None:
    while True:
        if not _runs(pid):
            return
        await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
