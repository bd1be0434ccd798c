"""The bus, under an identity."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from workers.adapters.secrets import read_secret
from workers.app.environment import load_settings
from workers.bus.transport.connection import Connection, connect
from workers.settings import Settings


async def open_bus(settings: Settings, identity: str) -> Connection:
    """Connect under an identity. Raises Unavailable, Denied, and NotFound when its seed is not where it should be."""
    seed = None
    if settings.nats_seed is not None:
        seed = await read_secret(settings.nats_seed.replace("{identity}", identity))
    return await connect(settings.nats, identity=identity, seed=seed)


@asynccontextmanager
async def connect_as(
    identity: str, data: Path | None = None, *, settings: Settings | None = None
) -> AsyncIterator[Connection]:
    """Hold a connection under an identity (`operator`, `worker-attest`, …) while the block runs.

    `settings` are loaded when not given, from the environment or the local world in `data`.
    """
    attempts = logging.getLogger("workers.bus.transport.connection")
    level = attempts.level
    # Each attempt that fails would say so; whoever asked gets one sentence.
    attempts.setLevel(logging.ERROR)
    try:
        connection = await open_bus(settings or load_settings(data), identity)
    finally:
        attempts.setLevel(level)
    try:
        yield connection
    finally:
        await connection.close()
