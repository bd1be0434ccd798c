"""The state of all services: one SQLite file (WAL, mode 0600) in the data directory.

Resources are kept as serialized protobuf messages under (kind, name), in order of creation. A commit survives the
death of the process; only the loss of power may take the last ones. Private keys live in a table of their own.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  parent TEXT NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (kind, name)
);
CREATE INDEX IF NOT EXISTS children ON resources (kind, parent, seq);
CREATE TABLE IF NOT EXISTS private_keys (name TEXT PRIMARY KEY, der BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS occurrences (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  parent TEXT NOT NULL,
  note TEXT NOT NULL,
  kind TEXT NOT NULL,
  resource TEXT NOT NULL,
  reversed TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  created REAL NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS occurrences_parent ON occurrences (parent, seq);
CREATE INDEX IF NOT EXISTS occurrences_note ON occurrences (note, seq);
CREATE INDEX IF NOT EXISTS occurrences_resource ON occurrences (resource);
CREATE INDEX IF NOT EXISTS occurrences_reversed ON occurrences (reversed);
"""

_DATABASE = "google.sqlite3"
_VERSION = 1


class Store:
    """The database in the directory *data*, made when it is not there; used from one thread.

    Raises RuntimeError when a newer release has written it.
    """

    def __init__(self, data: Path) -> None:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = data / _DATABASE
        # SQLite gives its -wal and -shm files the mode of the database: the keys inside are nobody else's.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            self._db.close()
            raise RuntimeError(f"{path} was written by a newer release (form {version}); use that, or another folder.")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA secure_delete=ON")
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA user_version={_VERSION}")

    def close(self) -> None:
        """Close the file; the store is not used afterwards."""
        self._db.close()

    def execute(self, sql: str, parameters: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._db.execute(sql, parameters)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside are stored together or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def insert(self, kind: str, name: str, parent: str, body: bytes) -> bool:
        """Add a resource; False when the name is taken."""
        statement = "INSERT OR IGNORE INTO resources (kind, name, parent, body) VALUES (?, ?, ?, ?)"
        return self._db.execute(statement, (kind, name, parent, body)).rowcount == 1

    def read(self, kind: str, name: str) -> bytes | None:
        """Return the body of a resource, or None."""
        row = self._db.execute("SELECT body FROM resources WHERE kind = ? AND name = ?", (kind, name)).fetchone()
        return row[0] if row else None

    def write(self, kind: str, name: str, body: bytes) -> None:
        """Replace the body of a resource that exists."""
        self._db.execute("UPDATE resources SET body = ? WHERE kind = ? AND name = ?", (body, kind, name))

    def remove(self, kind: str, name: str) -> bool:
        """Take a resource away; False when it is not there."""
        return self._db.execute("DELETE FROM resources WHERE kind = ? AND name = ?", (kind, name)).rowcount == 1

    def count(self, kind: str, parent: str) -> int:
        """How many resources of *kind* are below *parent*."""
        row = self._db.execute("SELECT count(*) FROM resources WHERE kind = ? AND parent = ?", (kind, parent))
        return int(row.fetchone()[0])

    def page(self, kind: str, parent: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Up to *limit* (sequence, body) below *parent*, in order of creation, after the sequence *after*."""
        statement = "SELECT seq, body FROM resources WHERE kind = ? AND parent = ? AND seq > ? ORDER BY seq LIMIT ?"
        return self._db.execute(statement, (kind, parent, after, limit)).fetchall()

    def private_key(self, name: str) -> bytes | None:
        """Return the PKCS#8 DER of a key version, or None when it was destroyed."""
        row = self._db.execute("SELECT der FROM private_keys WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def keep_private_key(self, name: str, der: bytes) -> None:
        """Keep the PKCS#8 DER of a new key version."""
        self._db.execute("INSERT INTO private_keys (name, der) VALUES (?, ?)", (name, der))

    def destroy_private_key(self, name: str) -> None:
        """Erase the key material of a version for good."""
        self._db.execute("DELETE FROM private_keys WHERE name = ?", (name,))
