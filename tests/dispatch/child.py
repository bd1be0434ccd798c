"""The worker dispatch in a process of its own, to be killed: `python -m tests.dispatch.child NATS SETTINGS`."""

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from workers.adapters.clock import SystemClock
from workers.adapters.github import AppCredentials, GithubClient, GithubRepositories
from workers.bus.claims.claims import NatsClaims
from workers.bus.engine.engine import Engine, EngineOptions
from workers.bus.rooms import wiring
from workers.bus.transport.connection import Connection, connect
from workers.bus.transport.publisher import Publisher
from workers.bus.wiring import Wiring
from workers.github_rules import GithubSettings
from workers.ports import Claims, Clock, Github


def hurried() -> Wiring:
    """Return the worker's wiring with a short lease on its messages."""
    found = wiring("dispatch")
    return replace(found, card=replace(found.card, ack_wait=timedelta(seconds=2)))


async def main(url: str, facts: str) -> None:
    """Run until SIGTERM."""
    stop, settings = asyncio.Event(), GithubSettings.model_validate_json(facts)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = GithubClient(settings.api)

    def ports(connection: Connection, publisher: Publisher) -> Mapping[type, Any]:
        claims = NatsClaims(connection, publisher, "dispatch", lease=timedelta(seconds=1.5), owner=uuid4().hex)
        github = GithubRepositories(client, AppCredentials(settings, client))
        return {Github: github, Claims: claims, Clock: SystemClock(), GithubSettings: settings}

    engine = Engine(
        hurried(), lambda: connect(url, identity="worker-dispatch"), ports, EngineOptions(grace=5, heartbeat=0.5)
    )
    await engine.run(stop)
    await client.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(*sys.argv[1:]))
