"""Waits until a worker can begin: the world is there, the bus answers, its streams are in place. Says what for."""

import asyncio
import logging
from pathlib import Path

from workers.app.connecting import open_bus
from workers.app.environment import load_settings, overlay, world_folder
from workers.bus.topology.check import check, refusal
from workers.bus.topology.permissions import identity_of
from workers.bus.wiring import Wiring
from workers.failures import Denied, NotFound, SealaneError, Unavailable
from workers.settings import Settings

log = logging.getLogger(__name__)
_POLL = 0.1


class Waiting:
    """Says once what is being waited for, and again when that changes."""

    def __init__(self) -> None:
        self._said: str | None = None

    async def for_(self, what: str) -> None:
        """Say it, and wait a moment."""
        if what != self._said:
            log.warning("waiting: %s", what)
            self._said = what
        await asyncio.sleep(_POLL)


async def wait_for_world(data: Path | None) -> Settings:
    """Return the settings, once the local world in `data` runs if one is given or meant."""
    settings = load_settings() if data is None else None
    if settings is not None and ("nats" in settings.model_fields_set or not settings.data.is_dir()):
        return settings
    folder, waiting = world_folder(data), Waiting()
    while (endpoints := folder.endpoints()) is None:
        await waiting.for_(f"no world is running in {folder.root} yet (`sealane up --no-workers` starts one)")
    return overlay(Settings(), folder, endpoints)


async def wait_for_connection(settings: Settings, identity: str) -> None:
    """Return once the bus lets this identity in. Raises Denied."""
    waiting = Waiting()
    while True:
        try:
            connection = await open_bus(settings, identity)
        except (Unavailable, NotFound) as error:
            await waiting.for_(str(error))
        else:
            await connection.close()
            return


async def wait_for_bus(settings: Settings, wiring: Wiring) -> None:
    """Return once the worker could begin. Raises SealaneError when the bus is there, but not as the worker needs it."""
    waiting = Waiting()
    while True:
        try:
            connection = await open_bus(settings, identity_of(wiring.name))
        except (Unavailable, NotFound) as error:
            await waiting.for_(str(error))
            continue
        try:
            drifts = await check(connection, wiring)
        except Denied:
            raise
        except SealaneError as error:
            drifts = None
            await waiting.for_(str(error))
        finally:
            await connection.close()
        if drifts == []:
            return
        if drifts is not None:
            if any(drift.kind != "missing" for drift in drifts):
                raise SealaneError(refusal(wiring, drifts))
            await waiting.for_("; ".join(drift.sentence for drift in drifts))
