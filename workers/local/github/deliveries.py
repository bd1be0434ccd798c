"""Deliveries of webhooks: written down before they are tried, tried once, recorded as they ended.

Sources: https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers,
https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks (2xx within ten seconds, or it has
failed), https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries (nothing is tried again
by itself). Payloads above 25 MB are not delivered at all. A delivery that waits when the server stops goes out after
its next start, as what is in GitHub's queue would.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from workers.local.github.directory import Directory
from workers.local.github.records import App

log = logging.getLogger(__name__)
LARGEST = 25 << 20
"""Bytes of a payload."""
PATIENCE = 10.0
"""Seconds until the receiver must have answered."""
KEPT = 3 * 24 * 3600
"""Seconds for which a delivery is kept and may be asked for again."""
_LARGEST_ANSWER = 64 << 10
_AT_ONCE = 10
# GitHub records a status code of its own where none was answered; its documentation does not say which.
_UNREACHABLE: tuple[str, int, dict[str, str], str] = ("failed to connect to host", 502, {}, "")
_LATE: tuple[str, int, dict[str, str], str] = ("timed out", 504, {}, "")


class Deliveries:
    """The queue and the record of what was delivered. `clock`: Unix seconds; `patience`: seconds."""

    def __init__(
        self, database: sqlite3.Connection, directory: Directory, clock: Callable[[], float], *, patience: float
    ) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock
        self._patience = patience
        self._session: ClientSession | None = None
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to deliver, with what is left from before; what nobody can ask for any more is forgotten."""
        self._database.execute("DELETE FROM deliveries WHERE delivered_at <= ?", (self._clock() - KEPT,))
        self._session = ClientSession(timeout=ClientTimeout(total=self._patience))
        for row in self._database.execute(
            "SELECT id FROM deliveries WHERE delivered_at IS NULL ORDER BY id"
        ).fetchall():
            self._begin(row["id"])

    async def stop(self) -> None:
        """Leave what is on its way where it is: it is delivered after the next start."""
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def settled(self) -> None:
        """Wait until nothing is on its way."""
        while self._running:
            await asyncio.wait(tuple(self._running))

    def enqueue(
        self, event: str, payload: Mapping[str, Any], *, installation: int | None, repository: int | None
    ) -> int | None:
        """Write an event down and deliver it. Returns its id, or None for one that is too large to be delivered."""
        body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
        if len(body) > LARGEST:
            log.warning("an event %s of %d bytes is not delivered: GitHub sends no more than 25 MB", event, len(body))
            return None
        named = (str(uuid.uuid4()), event, payload.get("action"), installation, repository, 0)
        return self._write(named, body)

    def again(self, id_: int) -> int | None:
        """Deliver something once more, under the same guid. Returns the new id, or None for what is not kept."""
        row = self.find(id_)
        if row is None:
            return None
        named = (row["guid"], row["event"], row["action"], row["installation"], row["repository"], 1)
        return self._write(named, bytes(row["payload"]))

    def find(self, id_: int) -> sqlite3.Row | None:
        """Return a delivery that was tried and is kept still."""
        query = "SELECT * FROM deliveries WHERE id = ? AND delivered_at > ?"
        row: sqlite3.Row | None = self._database.execute(query, (id_, self._clock() - KEPT)).fetchone()
        return row

    def tried(self, *, below: int | None, status: str | None, count: int) -> list[sqlite3.Row]:
        """Return the latest deliveries first, those with an id `below` only. `status`: success or failure."""
        query = "SELECT * FROM deliveries WHERE delivered_at > ?"
        values: list[object] = [self._clock() - KEPT]
        if below is not None:
            query, values = f"{query} AND id < ?", [*values, below]
        if status is not None:
            wanted = "BETWEEN 200 AND 399" if status == "success" else "BETWEEN 400 AND 599"
            query = f"{query} AND status_code {wanted}"
        return self._database.execute(f"{query} ORDER BY id DESC LIMIT ?", (*values, count)).fetchall()

    def _write(self, named: tuple[object, ...], body: bytes) -> int:
        cursor = self._database.execute(
            "INSERT INTO deliveries (guid, event, action, installation, repository, redelivery, queued_at, payload)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*named, self._clock(), body),
        )
        id_ = int(cursor.lastrowid or 0)
        self._begin(id_)
        return id_

    def _begin(self, id_: int) -> None:
        if self._session is None:
            return
        task = asyncio.create_task(self._deliver(id_), name=f"deliver {id_}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _deliver(self, id_: int) -> None:
        async with self._slots:
            app, session = self._directory.app(), self._session
            row = self._database.execute("SELECT * FROM deliveries WHERE id = ?", (id_,)).fetchone()
            if app is None or session is None or row is None:
                return
            body = bytes(row["payload"])
            headers, began = _headers(app, row, body), time.monotonic()
            status, code, answered, answer = await _send(session, app.hook_url, body, headers)
            self._database.execute(
                "UPDATE deliveries SET url = ?, request = ?, delivered_at = ?, duration = ?, status = ?,"
                " status_code = ?, response = ?, answer = ? WHERE id = ?",
                (
                    *(app.hook_url, json.dumps(headers), self._clock(), round(time.monotonic() - began, 2)),
                    *(status, code, json.dumps(answered), answer, id_),
                ),
            )


async def _send(
    session: ClientSession, url: str | None, body: bytes, headers: Mapping[str, str]
) -> tuple[str, int, dict[str, str], str]:
    """Return how it ended: what GitHub calls it, the status code, the headers and the body of the answer."""
    if url is None:
        return _UNREACHABLE
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            text = (await response.content.read(_LARGEST_ANSWER)).decode(errors="replace")
            good = response.status // 100 == 2  # noqa: PLR2004 - the class of success in HTTP
            status = "OK" if good else f"Invalid HTTP Response: {response.status}"
            return status, response.status, dict(response.headers), text
    except TimeoutError:
        return _LATE
    except (ClientError, OSError):
        return _UNREACHABLE


def _headers(app: App, row: sqlite3.Row, body: bytes) -> dict[str, str]:
    secret = app.hook_secret.encode()
    return {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/local",
        "X-GitHub-Delivery": row["guid"],
        "X-GitHub-Event": row["event"],
        "X-GitHub-Hook-ID": str(app.id),
        "X-GitHub-Hook-Installation-Target-ID": str(app.id),
        "X-GitHub-Hook-Installation-Target-Type": "integration",
        "X-Hub-Signature": f"sha1={hmac.new(secret, body, hashlib.sha1).hexdigest()}",
        "X-Hub-Signature-256": f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}",
    }
