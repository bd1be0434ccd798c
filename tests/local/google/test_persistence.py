"""What was answered is still there after a restart, and after kill -9."""

import asyncio
import signal
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import grpc.aio
import pytest
from google.api_core import exceptions

from tests.local.google.clients import TOKEN, BearerToken, Clients, grpc_clients
from tests.local.google.scenes import NOTE, PROJECT, VERSION, Signer, make_note, occurrence
from workers.local.google import GoogleServices

SERVER = """
import asyncio, sys
from pathlib import Path
from workers.local.google import GoogleServices

async def main():
    async with GoogleServices(Path(sys.argv[1]), token=sys.argv[2]) as services:
        print(services.grpc_port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def channel(port: int) -> grpc.aio.Channel:
    """Return a channel that carries the token."""
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", interceptors=[BearerToken(TOKEN)])


async def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """Keys sign as before, notes, attestors and occurrences are there, a page token still fits."""
    async with GoogleServices(tmp_path, token=TOKEN) as services, channel(services.grpc_port) as first:
        signer = Signer(grpc_clients(first))
        await signer.seed()
        many = [occurrence(str(number).encode()) for number in range(3)]
        await signer.clients.grafeas.batch_create_occurrences(parent=PROJECT, occurrences=many)
        before = await signer.clients.grafeas.list_occurrences(parent=PROJECT)
        pem = (await signer.clients.kms.get_public_key(name=VERSION)).pem
        page = await signer.clients.grafeas.client.list_occurrences(request={"parent": PROJECT, "page_size": 1})
        token = page.next_page_token

    async with GoogleServices(tmp_path, token=TOKEN) as services, channel(services.grpc_port) as second:
        signer = Signer(grpc_clients(second))
        assert await signer.validate() == ("VERIFIED", "")
        assert (await signer.clients.kms.get_public_key(name=VERSION)).pem == pem
        assert await signer.clients.grafeas.list_occurrences(parent=PROJECT) == before
        assert await signer.clients.grafeas.list_occurrences(parent=PROJECT, page_token=token) == before[1:]


async def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    """A killed server has every occurrence that it confirmed."""
    command = (sys.executable, "-c", SERVER, str(tmp_path), TOKEN)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    confirmed: set[str] = set()
    enough = asyncio.Event()
    try:
        port = int(await process.stdout.readline())
        async with channel(port) as first:
            clients = grpc_clients(first)
            await make_note(clients)
            writers = [write_until_it_dies(clients, confirmed, enough, number) for number in range(4)]
            writing = asyncio.gather(*writers)
            await asyncio.wait_for(enough.wait(), 60)
            process.send_signal(signal.SIGKILL)
            await writing
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()

    async with GoogleServices(tmp_path, token=TOKEN) as services, channel(services.grpc_port) as second:
        stored = await grpc_clients(second).grafeas.list_note_occurrences(name=NOTE, page_size=1000)
    assert confirmed <= {one.name for one in stored}


async def write_until_it_dies(clients: Clients, confirmed: set[str], enough: asyncio.Event, writer: int) -> None:
    """Create occurrences and note the confirmed ones, until the server is gone."""
    number = 0
    while True:
        number += 1
        one = occurrence(f"{writer} {number}".encode())
        try:
            confirmed.add((await clients.grafeas.create_occurrence(parent=PROJECT, occurrence=one)).name)
        except exceptions.ServiceUnavailable:
            return
        if len(confirmed) >= 100:
            enough.set()


async def test_the_state_is_its_owners_alone(tmp_path: Path) -> None:
    """Private keys are inside: nobody else may read any of its files."""
    data = tmp_path / "google"
    async with GoogleServices(data, token=TOKEN) as services, channel(services.grpc_port) as one:
        await Signer(grpc_clients(one)).seed()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()}

    assert modes
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


async def test_the_state_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    """An older program refuses a database that it cannot know."""
    async with GoogleServices(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "google.sqlite3")) as database:
        database.execute("PRAGMA user_version=2")
    with pytest.raises(RuntimeError, match="written by a newer release"):
        await GoogleServices(tmp_path).start()


async def test_a_taken_port_is_said_and_nothing_stays_open(tmp_path: Path) -> None:
    """Starting on somebody's port fails, and the state can then be opened again."""
    async with GoogleServices(tmp_path / "one") as one:
        two = GoogleServices(tmp_path / "two")
        with pytest.raises(OSError, match="address already in use"):
            await two.start(rest_port=one.rest_port)
        with pytest.raises(RuntimeError, match=str(one.grpc_port)):
            await two.start(grpc_port=one.grpc_port)
        await two.start()
        await two.stop()
        await two.stop()
