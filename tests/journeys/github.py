"""The GitHub of a running world, as people use it: git, its REST API, and what it delivered."""

import asyncio
import json
import os
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from tests.journeys.conftest import DEADLINE, Up, eventually
from workers.app.connecting import connect_as
from workers.bus.topology.permissions import PROVISIONER
from workers.bus.topology.streams import Tick
from workers.bus.topology.ticks import write_tick
from workers.bus.transport.jetstream import JetStreamApi
from workers.bus.transport.stored import read_one
from workers.local.github import Seeded, seeded

REPOSITORY = "acme/onboarding"


@dataclass(frozen=True)
class Event:
    """An event that is on the bus."""

    headers: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True)
class WorldGithub:
    """What one does with the GitHub of a world."""

    up: Up

    @property
    def names(self) -> Seeded:
        """Ids and files."""
        return seeded(self.up.data / "github")

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self.up.endpoints["github"])

    def git(self, folder: Path, *arguments: str) -> str:
        """Run git as the person who owns the repository."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": str(self.names.git_config),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.com",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.com",
        }
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def clone(self, folder: Path) -> Path:
        """Clone the repository into a folder and return where it is."""
        self.git(folder, "clone", "-q", f"{self.url}/{REPOSITORY}.git", "clone")
        return folder / "clone"

    def push(self, clone: Path, files: Mapping[str, str | None]) -> str:
        """Write files, or remove those that are None, push, and return the commit."""
        for name, content in files.items():
            path = clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if content is None else path.write_text(content)
        self.git(clone, "add", "--all")
        self.git(clone, "commit", "-q", "-m", "Change tenants")
        self.git(clone, "push", "-q")
        return self.git(clone, "rev-parse", "HEAD")

    def call(self, path: str, token: str, body: Mapping[str, Any]) -> int:
        """Ask the REST API for a change and return the status."""
        request = urllib.request.Request(  # noqa: S310 - the local GitHub
            f"{self.url}{path}", json.dumps(body).encode(), {"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the local GitHub
            return int(answer.status)

    def assertion(self) -> str:
        """Return a JWT of the App."""
        now = int(time.time())
        claims = {"iat": now - 30, "exp": now + 300, "iss": str(self.names.app_id)}
        return jwt.encode(claims, self.names.private_key.read_text(), algorithm="RS256")

    def deliveries(self, event: str) -> list[sqlite3.Row]:
        """Return what was delivered of one kind, the oldest first."""
        with closing(self._database()) as database:
            query = "SELECT * FROM deliveries WHERE event = ? AND delivered_at IS NOT NULL ORDER BY id"
            return database.execute(query, (event,)).fetchall()

    def let_time_pass(self, seconds: float) -> None:
        """Let each delivery have been so much earlier."""
        with closing(self._database()) as database, database:
            database.execute("UPDATE deliveries SET delivered_at = delivered_at - ?", (seconds,))

    def hurry(self, worker: str) -> None:
        """Let the clock wake a worker each second."""

        async def write() -> None:
            async with connect_as(PROVISIONER, self.up.data) as connection:
                await write_tick(JetStreamApi(connection), Tick(worker, "@every 1s"))

        asyncio.run(write())

    def events(self, event_type: str) -> list[Event]:
        """Return the events of a type that are on the bus, the oldest first."""

        async def read() -> list[Event]:
            found, sequence = [], 1
            async with connect_as("operator", self.up.data) as connection:
                while (stored := await read_one(connection, "EVENTS", sequence)) is not None:
                    if stored.headers.get("ce-type") == event_type:
                        found.append(Event(dict(stored.headers), json.loads(stored.body)))
                    sequence += 1
            return found

        return asyncio.run(read())

    def until(self, event_type: str, **fields: str) -> Event:
        """Wait until an event of a type with these fields is on the bus, and return it."""

        def look() -> Event | None:
            found = self.events(event_type)
            return next((one for one in found if fields.items() <= one.body.items()), None)

        return eventually(look, f"{event_type} {fields}")

    def _database(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.up.data / "github" / "github.sqlite3", timeout=30)
        database.row_factory = sqlite3.Row
        return database
