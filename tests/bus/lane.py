"""A lane for tests: a provisioned server, workers written as functions, and conditions to wait for."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from nats.js.errors import NotFoundError

from schemas.echoes import EchoRequested
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.identity import run_id
from workers.bus.engine.engine import Engine, EngineOptions
from workers.bus.rooms import all_wirings
from workers.bus.topology import provision
from workers.bus.topology.identities import ensure_identities, read_seed
from workers.bus.topology.permissions import Permissions, derive, render
from workers.bus.topology.streams import topology
from workers.bus.transport.connection import Connection, connect
from workers.bus.transport.publisher import PubAck, Publisher
from workers.bus.wiring import Handler, Wiring, wire
from workers.card import Card
from workers.local.nats import NatsServer
from workers.ports import Feeds
from workers.retention import Retention

PATIENCE = 60.0


def worker(handler: Handler, **card: Any) -> Wiring:
    """Wire a function as a worker named like it."""
    options: dict[str, Any] = {"summary": "a worker of a test", "ack_wait": timedelta(seconds=5)} | card
    return wire(Card(**({"name": handler.__name__} | options)), handler)


class Lane:
    """A server with the streams of some workers, seen by somebody who may do everything."""

    def __init__(self, url: str, connection: Connection, publisher: Publisher) -> None:
        self.url = url
        self.connection = connection
        self.publisher = publisher

    async def provision(self, *wirings: Wiring, **retention: Any) -> None:
        """Make the server match what these workers need."""
        await provision.apply(self.connection, topology(wirings, Retention(**retention)))

    async def publish(
        self, event: Event, *, event_id: str, source: str = "/tests", headers: Mapping[str, str] | None = None
    ) -> PubAck:
        """Publish an event as a door would."""
        envelope = Envelope(
            id=event_id, source=source, type=event.event_type, run=run_id(source, event_id), subject=event.about()
        )
        return await self.publisher.publish(
            event.event_type,
            event.model_dump_json().encode(),
            envelope.headers() | dict(headers or {}),
            message_id=envelope.message_id,
        )

    async def ask(self, *messages: str) -> None:
        """Publish one `echo.requested` per message; its id is the message."""
        await asyncio.gather(*(self.publish(EchoRequested(message=message), event_id=message) for message in messages))

    @asynccontextmanager
    async def running(
        self, wiring: Wiring, ports: Mapping[type, Any] | None = None, *, feeds: Feeds | None = None, **options: Any
    ) -> AsyncIterator[Engine]:
        """Run a worker in this process while the block runs; drain it afterwards."""
        stop, ready = asyncio.Event(), asyncio.Event()
        engine = Engine(
            wiring,
            lambda: connect(self.url, identity=f"worker-{wiring.name}"),
            lambda _connection, _publisher: ports or {},
            EngineOptions(**({"grace": 5.0, "heartbeat": 0.5} | options)),
            feeds,
        )
        task = asyncio.create_task(engine.run(stop, ready))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        try:
            yield engine
        finally:
            stop.set()
            await task

    async def messages(self, stream: str, subject: str | None = None) -> list[tuple[dict[str, str], bytes]]:
        """Return (headers, body) of all messages of a stream, in order, below a subject prefix."""
        found = []
        js = self.connection.client.jetstream()
        state = (await js.stream_info(stream)).state
        for sequence in range(max(1, state.first_seq), state.last_seq + 1):
            try:
                message = await js.get_msg(stream, sequence)
            except NotFoundError:
                continue
            if subject is None or (message.subject or "").startswith(subject):
                found.append((message.headers or {}, message.data or b""))
        return found

    async def bodies(self, stream: str, subject: str | None = None) -> list[Any]:
        """Return the JSON bodies of a stream's messages."""
        return [json.loads(body) for _, body in await self.messages(stream, subject)]

    async def answers(self) -> list[str]:
        """Return the messages of all `echo.answered`, sorted."""
        return sorted(body["message"] for body in await self.bodies("EVENTS", "echo.answered"))

    async def results(self, **having: Any) -> list[dict[str, Any]]:
        """Return the results in PROGRESS which have these values."""
        found = [body for body in await self.bodies("PROGRESS") if body["kind"] == "result"]
        return [body for body in found if all(body.get(name) == value for name, value in having.items())]

    async def lines(self) -> list[str]:
        """Return every line that was logged: in a result when the work was quick, before it when it was not."""
        bodies = await self.bodies("PROGRESS")
        return [
            line for body in bodies for line in body.get("logs", [body["message"]] if body["kind"] == "log" else [])
        ]

    async def count(self, stream: str) -> int:
        """Return how many messages a stream holds."""
        return (await self.connection.client.jetstream().stream_info(stream)).state.messages

    async def pending(self, stream: str, consumer: str) -> tuple[int, int]:
        """Return (not yet delivered, delivered and unanswered) of a consumer."""
        info = await self.connection.client.jetstream().consumer_info(stream, consumer)
        return info.num_pending or 0, info.num_ack_pending or 0


@asynccontextmanager
async def lane_on(url: str, *, seed: str | None = None) -> AsyncIterator[Lane]:
    """Give a lane on a running server to `tester`, who may do everything there."""
    connection = await connect(url, identity="tester", seed=seed, first_wait=30)
    publisher = Publisher(connection)
    await publisher.start()
    yield Lane(url, connection, publisher)
    await publisher.close()
    await connection.close()


@asynccontextmanager
async def secured_lane(folder: Path) -> AsyncIterator[Lane]:
    """Give a lane on a server with the streams, identities and derived permissions of all real workers."""
    permissions = derive(all_wirings().values()) | {"tester": Permissions(publish=(">",), subscribe=(">",))}
    keys = ensure_identities(folder, permissions)
    async with (
        NatsServer(folder / "nats", authorization=render(permissions, keys)) as server,
        lane_on(server.url, seed=read_seed(folder, "tester")) as lane,
    ):
        await lane.provision(*all_wirings().values())
        yield lane


async def until(condition: Callable[[], Awaitable[bool] | bool], *, within: float = PATIENCE, what: str = "") -> None:
    """Wait for a condition; fail with what was waited for."""
    deadline = time.monotonic() + within
    while True:
        held = condition()
        if await held if isinstance(held, Awaitable) else held:
            return
        assert time.monotonic() < deadline, f"not within {within} s: {what or condition}"
        await asyncio.sleep(0.02)
