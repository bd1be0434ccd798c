"""What comes over the wire never becomes a path, and has limits; what is stored outlives the process."""

import asyncio
import hashlib
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, FormData

from tests.local.registry.client import Client, digest_of
from workers.local.registry import Registry, build_image

IMAGE = build_image([{"etc/name": b"shop"}])
BODY = b"0123456789" * 1000

_SERVE = """\
import asyncio, sys
from pathlib import Path
from workers.local.registry import Registry

async def serve():
    async with Registry(Path(sys.argv[1])) as registry:
        print(registry.host, flush=True)
        await asyncio.Event().wait()

asyncio.run(serve())
"""


@asynccontextmanager
async def serving(data: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Run a registry in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVE, str(data), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip(), process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def files(folder: Path) -> list[Path]:
    """Return all that is below a folder."""
    return sorted(folder.rglob("*"))


async def raw(host: str, request: str) -> bytes:
    """Send a request just as it is written and return the status line."""
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(request.replace("\n", "\r\n").encode())
    await writer.drain()
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line


@pytest.mark.parametrize(
    "path",
    [
        "/v2/../../../escape/blobs/uploads/",
        "/v2/a/../../escape/blobs/uploads/",
        "/v2/%2e%2e/%2e%2e/escape/blobs/uploads/",
        "/v2/..%2f..%2fescape/blobs/uploads/",
        "/v2//escape/blobs/uploads/",
        f"/v2/{'a' * 300}/blobs/uploads/",
    ],
)
async def test_writes_nowhere_but_in_its_folder(tmp_path: Path, path: str) -> None:
    """A path that climbs is refused and leaves no file, neither outside nor inside."""
    async with Registry(tmp_path / "data") as registry:
        before = files(tmp_path)
        answer = await raw(registry.host, f"POST {path} HTTP/1.1\nHost: x\nContent-Length: 0\nConnection: close\n\n")

    assert answer.split()[1] in {b"400", b"404"}
    assert files(tmp_path) == before


async def test_refuses_a_manifest_that_is_too_large(tmp_path: Path) -> None:
    """A manifest over the limit is 413."""
    async with Registry(tmp_path, manifest_limit=100) as registry, ClientSession(f"http://{registry.host}") as session:
        reply = await Client(session, "a").put_manifest("1.0", IMAGE.manifest)

    assert (reply.status, reply.code) == (413, "SIZE_INVALID")


async def test_refuses_a_blob_that_is_too_large_and_keeps_what_was_there(tmp_path: Path) -> None:
    """A chunk that goes over the limit is 413, and the upload is where it was before."""
    async with Registry(tmp_path, blob_limit=5000) as registry, ClientSession(f"http://{registry.host}") as session:
        client = Client(session, "a")
        first = await client.ask("PATCH", await client.open_upload(), data=BODY[:4000])
        second = await client.ask("PATCH", first.location, data=BODY[4000:])
        status = await client.ask("GET", first.location)

    assert (second.status, second.code) == (413, "SIZE_INVALID")
    assert status.headers["Range"] == "0-3999"


async def test_lets_one_request_at_a_time_write_to_an_upload(tmp_path: Path) -> None:
    """While a chunk arrives, another one for the same upload is refused with 409."""
    gate = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield BODY[:10]
        await gate.wait()
        yield BODY[10:20]

    async with Registry(tmp_path) as registry, ClientSession(f"http://{registry.host}") as session:
        client = Client(session, "a")
        upload = await client.open_upload()
        slow = asyncio.create_task(client.ask("PATCH", upload, data=slowly()))
        while registry.faults.calls["PATCH upload"] == 0:
            await client.ask("GET", upload)
        second = await client.ask("PATCH", upload, data=b"x")
        gate.set()
        first = await slow

    assert second.status == 409
    assert (first.status, first.headers["Range"]) == (202, "0-19")


async def test_answers_errors_as_the_specification_says(tmp_path: Path) -> None:
    """An unknown address and a wrong method have an error body as well."""
    async with Registry(tmp_path) as registry, ClientSession(f"http://{registry.host}") as session:
        client = Client(session, "a")
        unknown = await client.ask("GET", "/v2/a/b")
        method = await client.ask("POST", "/v2/a/tags/list", data=FormData())

    assert (unknown.status, unknown.code) == (404, "NAME_INVALID")
    assert (method.status, method.code) == (405, "UNSUPPORTED")


async def test_takes_a_large_blob_without_holding_it_in_memory(tmp_path: Path) -> None:
    """200 MB are streamed through the process while its memory grows by less than a tenth of that."""
    piece, pieces = os.urandom(1 << 20), 200
    digest = f"sha256:{hashlib.sha256(piece * pieces).hexdigest()}"

    async def body() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield piece

    async with serving(tmp_path) as (host, process), ClientSession(f"http://{host}") as session:
        client = Client(session, "a")
        before = peak_memory(process.pid)
        patched = await client.ask("PATCH", await client.open_upload(), data=body())
        assert (await client.finish(patched.location, digest)).status == 201
        async with session.get(f"/v2/a/blobs/{digest}") as response:
            pulled = hashlib.sha256()
            async for chunk in response.content.iter_any():
                pulled.update(chunk)
        grown = peak_memory(process.pid) - before

    assert f"sha256:{pulled.hexdigest()}" == digest
    assert grown < 20 << 20


async def test_has_everything_after_it_was_killed(tmp_path: Path) -> None:
    """Images, tags and even an upload in progress outlive a kill -9."""
    async with serving(tmp_path) as (host, process), ClientSession(f"http://{host}") as session:
        client = Client(session, "a")
        await client.put_image(IMAGE, "1.0")
        upload = (await client.ask("PATCH", await client.open_upload(), data=BODY[:5000])).location
        process.send_signal(signal.SIGKILL)
        await process.wait()

    async with Registry(tmp_path) as registry, ClientSession(f"http://{registry.host}") as session:
        client = Client(session, "a")
        assert (await client.ask("GET", "/v2/a/manifests/1.0")).body == IMAGE.manifest
        assert (await client.ask("GET", upload)).headers["Range"] == "0-4999"
        assert (await client.finish(upload, digest_of(BODY), BODY[5000:])).status == 201
        for digest, body in IMAGE.blobs.items():
            assert (await client.ask("GET", f"/v2/a/blobs/{digest}")).body == body


async def test_is_whole_wherever_it_was_killed(tmp_path: Path) -> None:
    """Killed at any point of a stream of pushes, it never shows a tag whose parts are not all there."""
    async with serving(tmp_path) as (host, process), ClientSession(f"http://{host}") as session:
        pushing = asyncio.create_task(_push_until_cut_off(Client(session, "a")))
        async with ClientSession(f"http://{host}") as watching:
            watcher = Client(watching, "a")
            while (await watcher.ask("HEAD", "/v2/a/manifests/v7")).status != 200:
                pass
        process.kill()
        await process.wait()
        pushed = await pushing

    async with Registry(tmp_path) as registry, ClientSession(f"http://{registry.host}") as session:
        client = Client(session, "a")
        tags = [tag for tag in (f"v{number}" for number in range(pushed + 1)) if await _is_whole(client, tag)]

    assert len(tags) >= pushed >= 7


def image_number(number: int) -> list[dict[str, bytes]]:
    """Return the layers of one of many images."""
    return [{"etc/number": str(number).encode() * 500}]


async def _push_until_cut_off(client: Client) -> int:
    """Push image after image and return how many were confirmed."""
    for number in itertools.count():
        try:
            await client.put_image(build_image(image_number(number)), f"v{number}")
        except (ClientError, OSError):
            return number
    raise AssertionError


async def _is_whole(client: Client, tag: str) -> bool:
    """Whether a tag exists; if it does, everything below it must."""
    reply = await client.ask("GET", f"/v2/a/manifests/{tag}")
    if reply.status == 404:
        return False
    image = build_image(image_number(int(tag[1:])))
    assert reply.body == image.manifest
    for digest, body in image.blobs.items():
        assert (await client.ask("GET", f"/v2/a/blobs/{digest}")).body == body
    return True


def peak_memory(pid: int) -> int:
    """Return the most memory that a process ever had resident, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
