"""One served API: its methods, what answers them, and which REST request is which method."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.local.google.faults import Faults
from workers.local.google.store import Store
from workers.local.google.table import Method, Rule, merge

Handler = Callable[[Any], Any | Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
# Gets the requests of a stream, as they come, and what sends a response; the stream ends when it returns.
StreamHandler = Callable[[AsyncIterator[Any], Send], Awaitable[None]]


@dataclass(frozen=True)
class ServedRegistry:
    """The registry whose images Artifact Registry shows: its folder, its HOST:PORT, and where it is said to be.

    `location` is projects/*/locations/*.
    """

    data: Path
    host: str
    location: str


@dataclass(frozen=True)
class Ground:
    """What every service stands on: the state, the switches of the tests, threads for slow arithmetic, a registry."""

    store: Store
    faults: Faults
    threads: Executor
    registry: ServedRegistry | None = None


class Api:
    """The *methods* of one API; those in *handlers* (by gRPC path) are answered, the others are UNIMPLEMENTED.

    *streams* answers methods with streams on both sides, which have no REST form.
    """

    def __init__(
        self,
        name: str,
        methods: Iterable[Method],
        handlers: Mapping[str, Handler],
        streams: Mapping[str, StreamHandler] | None = None,
    ) -> None:
        self.name = name
        self.methods = merge(methods)
        self.streams = dict(streams or {})
        unknown = {*handlers, *self.streams} - set(self.methods)
        if unknown:
            raise ValueError(f"{name} has no {', '.join(sorted(unknown))}.")
        both = {path for path, method in self.methods.items() if method.streaming}
        if wrong := (both & set(handlers)) | (set(self.streams) - both):
            raise ValueError(f"{name} has another form of {', '.join(sorted(wrong))}: one is a stream, one is not.")
        if untyped := [path for path in handlers if self.methods[path].request is None]:
            raise ValueError(f"The library of {name} does not say what {', '.join(untyped)} take.")
        self.handlers = dict(handlers)
        # Served methods first: a path that two methods share belongs to the one that answers.
        ordered = sorted(self.methods.values(), key=lambda method: method.path not in self.handlers)
        self._rules = [(rule, method) for method in ordered for rule in method.rules]

    def route(self, verb: str, path: str) -> tuple[Method, Rule, dict[str, str]] | None:
        """Return the method, rule and path variables of a REST request, or None."""
        for rule, method in self._rules:
            variables = rule.match(verb, path)
            if variables is not None:
                return method, rule, variables
        return None


@dataclass(frozen=True)
class Room:
    """Where an API is built: the first label of its hosts, its gRPC packages, and the module with `build(ground)`.

    `streams` are the gRPC paths with streams on both sides: how to answer must be known before the module is imported.
    """

    name: str
    packages: tuple[str, ...]
    module: str
    streams: tuple[str, ...] = ()


ROOMS = (
    Room("cloudkms", ("google.cloud.kms.v1.",), "workers.local.google.kms"),
    Room(
        "containeranalysis",
        ("grafeas.v1.", "google.devtools.containeranalysis.v1."),
        "workers.local.google.grafeas",
    ),
    Room("binaryauthorization", ("google.cloud.binaryauthorization.",), "workers.local.google.binauthz"),
    # The operations of all services are one set, so over gRPC the first room that knows them answers for every one.
    Room("run", ("google.cloud.run.v2.", "google.longrunning."), "workers.local.google.run"),
    Room(
        "artifactregistry",
        ("google.devtools.artifactregistry.v1.", "google.longrunning."),
        "workers.local.google.artifacts",
    ),
    Room(
        "pubsub",
        ("google.pubsub.v1.",),
        "workers.local.google.pubsub",
        streams=("/google.pubsub.v1.Subscriber/StreamingPull",),
    ),
)


@dataclass
class Apis:
    """All served APIs, each built when its first request comes: importing a client library takes up to a second."""

    ground: Ground
    rooms: tuple[Room, ...] = ROOMS
    built: dict[str, Api] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def at_host(self, host: str) -> list[Api]:
        """Return the APIs that a request to *host* may mean: one by its production name, all by a local address."""
        label, _, domain = host.lower().partition(":")[0].partition(".")
        if domain.endswith("googleapis.com"):
            return [await self._build(room) for room in self.rooms if room.name == label]
        return [await self._build(room) for room in self.rooms]

    def room_of(self, path: str) -> Room | None:
        """Return the room of a gRPC path, or None."""
        return next((room for room in self.rooms if path[1:].startswith(room.packages)), None)

    async def of_rpc(self, path: str) -> Api | None:
        """Return the API of a gRPC path, or None."""
        room = self.room_of(path)
        return await self._build(room) if room else None

    async def _build(self, room: Room) -> Api:
        if room.name not in self.built:
            async with self._lock:
                if room.name not in self.built:
                    module = await asyncio.to_thread(importlib.import_module, room.module)
                    self.built[room.name] = module.build(self.ground)
        return self.built[room.name]
