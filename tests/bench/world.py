"""A local world of its own for a bench: `sealane up --no-workers` in a temporary folder, workers beside it."""

import asyncio
import json
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlencode
from urllib.request import Request, urlopen

from schemas.envelope import Envelope
from schemas.identity import run_id
from schemas.images import ImagePushed
from tests.bench.processes import BIN, ended, last_words, spawn
from workers.app.connecting import connect_as
from workers.app.shell import shell_environment
from workers.bus.doors.follow import follow
from workers.bus.topology.streams import DEAD
from workers.bus.transport.connection import Connection
from workers.bus.transport.headers import DEAD_MESSAGE, DEAD_REASON
from workers.bus.transport.publisher import PubAck, Publisher
from workers.local.folder import WorldFolder
from workers.local.registry.layout import build_image, write_layout
from workers.local.registry.push import push

SEALANE = str(BIN / "sealane")
READY = '"message": "ready: '
PATIENCE = 60.0
CALLS = ("ListNoteOccurrences", "AsymmetricSign", "ValidateAttestationOccurrence", "CreateOccurrence")
_LAYER = {"etc/os-release": b"ID=bench\n" * 40, "usr/bin/shop": bytes(range(256)) * 64}


class NotReadyError(RuntimeError):
    """A process of the world was not ready in time, or ended; the text is its last words."""


class LocalWorld:
    """A running world, seen from outside."""

    def __init__(self, folder: Path, connection: Connection, publisher: Publisher) -> None:
        self.folder = folder
        self.connection = connection
        """As operator."""
        self.endpoints: dict[str, Any] = WorldFolder(folder).endpoints() or {}
        self.token = Path(self.endpoints["token"]).read_text().strip()
        self._publisher = publisher

    def shell(self) -> dict[str, str]:
        """Return the environment that points gcloud here."""
        return shell_environment(self.folder)

    async def push_images(self, name: str, count: int, *, tags: Sequence[str] = ("1",)) -> list[tuple[str, str]]:
        """Push so many different images and return (repository, digest) of each; all are there under all tags."""
        return await asyncio.to_thread(lambda: [self._push(f"{name}-{number}", tags) for number in range(count)])

    def _push(self, name: str, tags: Sequence[str]) -> tuple[str, str]:
        repository = f"{self.endpoints['registry']}/apps/{name}"
        with TemporaryDirectory(prefix="sealane-bench-") as place:
            layout = write_layout(Path(place), build_image([_LAYER], labels={"name": name}))
            for tag in tags:
                digest = push(
                    layout, f"{repository}:{tag}", username=self.endpoints["registry_user"], password=self.token
                )
        return repository, digest

    async def publish(self, repository: str, *, event_id: str, tag: str = "1") -> PubAck:
        """Say that an image was pushed."""
        event = ImagePushed(image=f"{repository}:{tag}")
        source = "//registry.bench"
        about = Envelope(
            id=event_id, source=source, type=event.event_type, run=run_id(source, event_id), subject=event.about()
        )
        return await self._publisher.publish(
            event.event_type, event.model_dump_json().encode(), about.headers(), message_id=about.message_id
        )

    async def google_is_away(self, seconds: float) -> None:
        """Let every call to Google that attesting an image makes wait so long, as over a network."""
        await self.tell_google({"delay": dict.fromkeys(CALLS, seconds)})

    async def tell_google(self, order: Mapping[str, Any]) -> None:
        """Switch faults of the local Google services on or off."""
        await self._google("/__faults__", json.dumps(order).encode())

    async def google_calls(self) -> dict[str, int]:
        """Return how often each method was answered so far."""
        calls: dict[str, int] = (await self._google("/__faults__"))["calls"]
        return calls

    async def google_log(self, last: int) -> list[dict[str, Any]]:
        """Return the last calls, each with its method and its code."""
        log: list[dict[str, Any]] = (await self._google(f"/__faults__?log={last}"))["log"]
        return log

    async def occurrences(self) -> list[dict[str, Any]]:
        """Return all occurrences of the note, as the API lists them."""
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            query = urlencode({"pageSize": 500, "pageToken": token})
            path = f"/v1/{self.endpoints['note']}/occurrences?{query}"
            page = await self._google(path, host="containeranalysis.googleapis.com")
            found += page.get("occurrences", [])
            token = page.get("nextPageToken", "")
            if not token:
                return found

    async def dead_letters(self) -> list[str]:
        """Return of each why it is one."""
        return [
            f"{stored.headers[DEAD_REASON]}: {unquote(stored.headers[DEAD_MESSAGE])}"
            async for stored in follow(self.connection, DEAD, "dead.>", live=False)
        ]

    async def new_version(self, key: str) -> str:
        """Make the next version of a key in Cloud KMS, and return its name."""
        path = f"/v1/{key}/cryptoKeyVersions"
        return str((await self._google(path, b"{}", host="cloudkms.googleapis.com"))["name"])

    async def _google(self, path: str, body: bytes | None = None, *, host: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if host is not None:
            headers["Host"] = host
        request = Request(f"{self.endpoints['google_rest']}{path}", body, headers)  # noqa: S310 - loopback
        answer = await asyncio.to_thread(lambda: urlopen(request, timeout=30).read())  # noqa: S310 - loopback
        return json.loads(answer or b"{}")

    async def start_worker(
        self, log: Path, environment: Mapping[str, str] | None = None, *, worker: str = "attest"
    ) -> tuple[Process, float]:
        """Start `sealane worker …`, which writes to a new `log`; return it and the seconds until it was ready."""
        started = time.perf_counter()
        process = await spawn(
            SEALANE, "worker", worker, "--data", str(self.folder), environment=environment, errors=log
        )
        await ready(process, log, lambda: log.exists() and READY in log.read_text())
        return process, time.perf_counter() - started


async def ready(process: Process, log: Path, condition: Callable[[], bool]) -> None:
    """Wait for a child's condition. Raises NotReadyError."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if process.returncode is not None or time.monotonic() > deadline:
            await ended(process)
            raise NotReadyError(f"process {process.pid} did not become ready: {last_words(log)}")
        await asyncio.sleep(0.005)


@asynccontextmanager
async def local_world() -> AsyncIterator[LocalWorld]:
    """Run a world while the block runs; nothing of it is left afterwards."""
    with TemporaryDirectory(prefix="sealane-bench-") as place:
        folder, log = Path(place) / "world", Path(place) / "up.log"
        process = await spawn(SEALANE, "up", "--no-workers", "--data", str(folder), errors=log)
        try:
            await ready(process, log, lambda: WorldFolder(folder).endpoints() is not None)
            async with connect_as("operator", folder) as connection:
                publisher = Publisher(connection)
                await publisher.start()
                try:
                    yield LocalWorld(folder, connection, publisher)
                finally:
                    await publisher.close()
        finally:
            await ended(process)
