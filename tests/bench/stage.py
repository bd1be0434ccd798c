"""The stage: one provisioned stream with a backlog, stored once; every run starts from a copy of it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from nats.js.api import StreamInfo

from schemas.images import ImageAttested
from tests.bench.processes import answer_of
from tests.bench.traffic import WORKER, attest_once, wiring
from workers.bus.topology import provision
from workers.bus.topology.streams import EVENTS, topology
from workers.bus.transport.connection import connect
from workers.bus.wiring import Wiring
from workers.local.nats import NatsServer
from workers.retention import Retention


@asynccontextmanager
async def empty_stage(wirings: Sequence[Wiring], folder: Path) -> AsyncIterator[NatsServer]:
    """Run a server that is provisioned for these workers."""
    async with NatsServer(folder) as server:
        admin = await connect(server.url, identity="provisioner", first_wait=30)
        try:
            await provision.apply(admin, topology(wirings, Retention()))
        finally:
            await admin.close()
        yield server


async def stock(folder: Path, events: int) -> None:
    """Leave a store with a backlog of so many events in the folder; it has a bucket for claims, too."""
    async with empty_stage([wiring(attest_once)], folder) as server:
        await answer_of("tests.bench.backlog", server.url, events)


@asynccontextmanager
async def copy_of(folder: Path) -> AsyncIterator[NatsServer]:
    """Run a server on a copy of a store, and delete the copy afterwards."""
    with TemporaryDirectory(prefix="sealane-bench-", dir=folder.parent) as place:
        copy = Path(place) / "nats"
        await asyncio.to_thread(shutil.copytree, folder, copy)
        async with NatsServer(copy) as server:
            yield server


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is in the stream after a run."""

    follow_ups: int
    pending: int
    unanswered: int


async def outcome(url: str) -> Outcome:
    """Count what was emitted and what is left, at the server."""
    admin = await connect(url, identity="provisioner", first_wait=30)
    try:
        js = admin.client.jetstream()
        info: StreamInfo = await js.stream_info(EVENTS, subjects_filter=ImageAttested.event_type)
        consumer = await js.consumer_info(EVENTS, WORKER)
        subjects = info.state.subjects or {}
        return Outcome(
            subjects.get(ImageAttested.event_type, 0), consumer.num_pending or 0, consumer.num_ack_pending or 0
        )
    finally:
        await admin.close()
