"""Repeating schedules: written once into CRON by the provisioner, fired by the server at `tick.<worker>`.

Source: nats-server ADR-51. A schedule lives in its stream like any message, so `Nats-TTL: never` keeps it beyond the
stream's max_age; the newest message on its subject is the one that counts.
"""

import base64
from collections.abc import Mapping
from typing import Any

from workers.bus.topology.drift import Drift
from workers.bus.topology.streams import CRON, Tick
from workers.bus.transport import headers as names
from workers.bus.transport.jetstream import MESSAGE_NOT_FOUND, ApiError, JetStreamApi


async def compare_tick(api: JetStreamApi, tick: Tick) -> list[Drift]:
    """Compare a declared tick with the schedule that is stored."""
    try:
        found = await api.request(f"STREAM.MSG.GET.{CRON}", {"last_by_subj": tick.subject})
    except ApiError as error:
        if error.code == MESSAGE_NOT_FOUND:
            return [Drift("missing", "schedule", tick.subject)]
        raise
    headers = _headers(found["message"])
    return [
        Drift("different", "schedule", tick.subject, name, wanted, headers.get(name))
        for name, wanted in _wanted(tick).items()
        if headers.get(name) != wanted
    ]


async def write_tick(api: JetStreamApi, tick: Tick) -> None:
    """Store the schedule; it replaces the one before. Raises ApiError when the server does not understand it."""
    await api.store(tick.subject, b"", _wanted(tick))


def _wanted(tick: Tick) -> dict[str, str]:
    return {names.SCHEDULE: tick.schedule, names.SCHEDULE_TARGET: tick.target, names.TTL: "never"}


def _headers(message: Mapping[str, Any]) -> dict[str, str]:
    """Read the header block of a message as the API returns it."""
    block = base64.b64decode(message.get("hdrs", "")).decode(errors="replace")
    pairs = (line.partition(":") for line in block.splitlines()[1:])
    return {name: value.strip() for name, _, value in pairs if name}
