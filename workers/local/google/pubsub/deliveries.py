"""What every subscription still has to deliver: one row for each message not acknowledged yet.

A row is waiting (`due` is NULL), leased (`holder` says to whom) until `due`, or backing off until `due`. All times are
Unix times in seconds, since leases go on over a restart. An ack id names the row and the delivery: it is good for that
delivery alone.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from workers.local.google.pubsub.refusals import invalid_ack_id
from workers.local.google.store import Store

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS pubsub_deliveries (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      subscription TEXT NOT NULL,
      ordering_key TEXT NOT NULL,
      published REAL NOT NULL,
      attempts INTEGER NOT NULL DEFAULT 0,
      due REAL,
      holder TEXT,
      body BLOB NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS pubsub_waiting ON pubsub_deliveries (subscription, seq) WHERE due IS NULL",
    "CREATE INDEX IF NOT EXISTS pubsub_due ON pubsub_deliveries (subscription, due) WHERE due IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS pubsub_holder ON pubsub_deliveries (holder) WHERE holder IS NOT NULL",
    """CREATE INDEX IF NOT EXISTS pubsub_busy ON pubsub_deliveries (subscription, ordering_key)
      WHERE due IS NOT NULL AND ordering_key <> ''""",
    "CREATE INDEX IF NOT EXISTS pubsub_age ON pubsub_deliveries (subscription, published)",
    "CREATE TABLE IF NOT EXISTS pubsub_ids (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL)",
)
# The planner is told its indexes: it has no statistics, and a hundred thousand waiting messages are to cost no sort.
_WAITING = """SELECT seq, attempts, body FROM pubsub_deliveries AS d INDEXED BY pubsub_waiting
  WHERE subscription = ? AND due IS NULL"""
_IN_ORDER = """ AND (ordering_key = '' OR NOT EXISTS (
  SELECT 1 FROM pubsub_deliveries AS busy INDEXED BY pubsub_busy WHERE busy.subscription = d.subscription
  AND busy.ordering_key = d.ordering_key AND busy.due IS NOT NULL AND busy.ordering_key <> ''))"""
_MOST_BYTES = 8 * 1024 * 1024
_MOST_DOUBLINGS = 16
_ACK_ID = struct.Struct(">QQ6s")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a subscription asks for: seconds, and `most_attempts` 0 when it has no dead letter topic."""

    name: str
    ordered: bool = False
    exactly_once: bool = False
    retention: float = 604800.0
    least_backoff: float = 0.0
    most_backoff: float = 0.0
    most_attempts: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as it is delivered: *attempt* counts from 1, *body* is a serialized PubsubMessage."""

    ack_id: str
    attempt: int
    body: bytes


class Deliveries:
    """The deliveries in *store*."""

    def __init__(self, store: Store) -> None:
        self._store = store
        for statement in _SCHEMA:
            store.execute(statement)
        # Ids of another world's messages must not come back in this one, should a bus remember them.
        store.execute("INSERT OR IGNORE INTO pubsub_ids VALUES (1, ?)", (time.time_ns() // 1000,))

    def new_ids(self, count: int) -> range:
        """Return message ids that were never given out."""
        row = self._store.execute("UPDATE pubsub_ids SET last = last + ? RETURNING last", (count,)).fetchone()
        return range(row[0] - count + 1, row[0] + 1)

    def add(self, subscription: str, ordering_key: str, published: float, body: bytes) -> None:
        """Let *subscription* deliver a message."""
        self._store.execute(
            "INSERT INTO pubsub_deliveries (subscription, ordering_key, published, body) VALUES (?, ?, ?, ?)",
            (subscription, ordering_key, published, body),
        )

    def forget(self, subscription: str) -> None:
        """Drop all messages of a subscription."""
        self._store.execute("DELETE FROM pubsub_deliveries WHERE subscription = ?", (subscription,))

    def next_due(self, terms: Terms) -> float | None:
        """Return when the next lease or back-off ends, or None."""
        statement = (
            "SELECT min(due) FROM pubsub_deliveries INDEXED BY pubsub_due WHERE subscription = ? AND due IS NOT NULL"
        )
        due: float | None = self._store.execute(statement, (terms.name,)).fetchone()[0]
        return due

    def outstanding(self, holder: str) -> tuple[int, int]:
        """Return how many messages, and how many bytes, *holder* has and has not settled."""
        statement = "SELECT count(*), coalesce(sum(length(body)), 0) FROM pubsub_deliveries WHERE holder = ?"
        count, size = self._store.execute(statement, (holder,)).fetchone()
        return count, size

    def sweep(self, terms: Terms) -> None:
        """End the leases and back-offs that are over, and drop what is too old."""
        now = time.time()
        with self._store.transaction():
            self._store.execute(
                "DELETE FROM pubsub_deliveries WHERE subscription = ? AND published < ?",
                (terms.name, now - terms.retention),
            )
            over = (
                "SELECT seq, attempts, due FROM pubsub_deliveries INDEXED BY pubsub_due WHERE subscription = ?"
                " AND due IS NOT NULL AND due <= ? AND holder IS NOT NULL ORDER BY seq"
            )
            for seq, attempts, due in self._store.execute(over, (terms.name, now)).fetchall():
                self._release(terms, seq, attempts, due)
            self._store.execute(
                "UPDATE pubsub_deliveries INDEXED BY pubsub_due SET due = NULL WHERE subscription = ?"
                " AND due IS NOT NULL AND due <= ? AND holder IS NULL",
                (terms.name, now),
            )

    def take(
        self, terms: Terms, holder: str, lease: float, limit: int, bury: Callable[[int, bytes], bool]
    ) -> list[Delivery]:
        """Lease up to *limit* waiting messages, the oldest first, to *holder* for *lease* seconds; `sweep` before.

        What was delivered too often goes to *bury* with its attempts, which says whether it took the message.
        """
        now, size, taken = time.time(), 0, list[Delivery]()
        with self._store.transaction():
            statement = f"{_WAITING}{_IN_ORDER if terms.ordered else ''} ORDER BY seq LIMIT ?"
            for seq, attempts, body in self._store.execute(statement, (terms.name, limit)).fetchall():
                if terms.most_attempts and attempts >= terms.most_attempts and bury(attempts, body):
                    self._remove(seq)
                    continue
                size += len(body)
                if taken and size > _MOST_BYTES:
                    break
                self._store.execute(
                    "UPDATE pubsub_deliveries SET attempts = ?, due = ?, holder = ? WHERE seq = ?",
                    (attempts + 1, now + lease, holder, seq),
                )
                taken.append(Delivery(_ack_id(terms.name, seq, attempts + 1), attempts + 1, body))
        return taken

    def acknowledge(self, terms: Terms, ack_ids: Iterable[str]) -> list[str]:
        """Settle deliveries and return the ack ids whose lease is over. Raises INVALID_ARGUMENT for no ack id.

        With exactly-once delivery those stay; else a message is settled as long as it was not delivered again.
        """
        with self._store.transaction():
            return [
                ack_id
                for ack_id, seq, attempt in _parsed(terms.name, ack_ids)
                if not self._held(terms, seq, attempt, late=not terms.exactly_once) or not self._remove(seq)
            ]

    def extend(self, terms: Terms, deadlines: Iterable[tuple[str, float]]) -> list[str]:
        """Give leases other ends, in seconds from now, and return the ack ids whose lease is over; 0 ends it now.

        Raises INVALID_ARGUMENT for no ack id.
        """
        asked, now, lost = list(deadlines), time.time(), []
        with self._store.transaction():
            for (_, seconds), (ack_id, seq, attempt) in zip(
                asked, _parsed(terms.name, [ack_id for ack_id, _ in asked]), strict=True
            ):
                if not self._held(terms, seq, attempt, late=False):
                    lost.append(ack_id)
                elif seconds > 0:
                    self._store.execute("UPDATE pubsub_deliveries SET due = ? WHERE seq = ?", (now + seconds, seq))
                else:
                    self._release(terms, seq, attempt, now)
        return lost

    def _release(self, terms: Terms, seq: int, attempts: int, ended: float) -> None:
        """End the lease of a message at the time *ended*, and those of the later ones of its ordering key."""
        wait = min(terms.most_backoff, terms.least_backoff * 2 ** min(max(attempts - 1, 0), _MOST_DOUBLINGS))
        self._store.execute(
            "UPDATE pubsub_deliveries SET holder = NULL, due = ? WHERE seq = ?", (ended + wait if wait else None, seq)
        )
        if terms.ordered:
            self._store.execute(
                "UPDATE pubsub_deliveries SET holder = NULL, due = NULL WHERE subscription = ? AND seq > ?"
                " AND holder IS NOT NULL AND due IS NOT NULL AND ordering_key <> ''"
                " AND ordering_key = (SELECT ordering_key FROM pubsub_deliveries WHERE seq = ?)",
                (terms.name, seq, seq),
            )

    def _held(self, terms: Terms, seq: int, attempt: int, *, late: bool) -> bool:
        """Whether the delivery is leased still; with *late*, whether it is the last one, however long ago."""
        row = self._store.execute(
            "SELECT holder, due FROM pubsub_deliveries WHERE seq = ? AND subscription = ? AND attempts = ?",
            (seq, terms.name, attempt),
        ).fetchone()
        return row is not None and (late or (row[0] is not None and row[1] > time.time()))

    def _remove(self, seq: int) -> bool:
        return self._store.execute("DELETE FROM pubsub_deliveries WHERE seq = ?", (seq,)).rowcount == 1


def _ack_id(subscription: str, seq: int, attempt: int) -> str:
    return base64.urlsafe_b64encode(_ACK_ID.pack(seq, attempt, _digest(subscription))).decode().rstrip("=")


def _parsed(subscription: str, ack_ids: Iterable[str]) -> list[tuple[str, int, int]]:
    """Return each ack id with its row and attempt. Raises INVALID_ARGUMENT for one that *subscription* never gave."""
    parsed = []
    for ack_id in ack_ids:
        try:
            raw = base64.b64decode(ack_id + "=" * (-len(ack_id) % 4), b"-_", validate=True)
            seq, attempt, digest = _ACK_ID.unpack(raw)
        except (ValueError, struct.error):
            raise invalid_ack_id(ack_id) from None
        if digest != _digest(subscription) or seq >= 2**63 or attempt >= 2**63:
            raise invalid_ack_id(ack_id)
        parsed.append((ack_id, seq, attempt))
    return parsed


def _digest(subscription: str) -> bytes:
    return hashlib.sha256(subscription.encode()).digest()[:6]
