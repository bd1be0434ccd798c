"""The database of the local GitHub: one SQLite file (WAL, mode 0600), used from one thread."""

import os
import sqlite3
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
  id INTEGER PRIMARY KEY, login TEXT NOT NULL UNIQUE COLLATE NOCASE, type TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS repositories (
  id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL REFERENCES accounts,
  name TEXT NOT NULL COLLATE NOCASE, private INTEGER NOT NULL, default_branch TEXT NOT NULL,
  created_at INTEGER NOT NULL, pushed_at INTEGER, UNIQUE (owner, name)
);
CREATE TABLE IF NOT EXISTS former_names (
  owner INTEGER NOT NULL REFERENCES accounts, name TEXT NOT NULL COLLATE NOCASE,
  repository INTEGER NOT NULL REFERENCES repositories, PRIMARY KEY (owner, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS apps (
  id INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, slug TEXT NOT NULL, name TEXT NOT NULL,
  owner INTEGER NOT NULL REFERENCES accounts, public_key TEXT NOT NULL, hook_url TEXT, hook_secret TEXT NOT NULL,
  created_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS installations (
  id INTEGER PRIMARY KEY, account INTEGER NOT NULL REFERENCES accounts, selection TEXT NOT NULL,
  permissions TEXT NOT NULL, events TEXT NOT NULL, suspended_at INTEGER, created_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS selected (
  installation INTEGER NOT NULL REFERENCES installations, repository INTEGER NOT NULL REFERENCES repositories,
  PRIMARY KEY (installation, repository)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revoked (token TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS packages (
  id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL REFERENCES accounts, name TEXT NOT NULL,
  created_at INTEGER NOT NULL, UNIQUE (owner, name)
);
CREATE TABLE IF NOT EXISTS deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT NOT NULL, event TEXT NOT NULL, action TEXT,
  installation INTEGER, repository INTEGER, redelivery INTEGER NOT NULL, queued_at REAL NOT NULL,
  url TEXT, request TEXT, payload BLOB NOT NULL, delivered_at REAL, duration REAL, status TEXT, status_code INTEGER,
  response TEXT, answer TEXT
);
CREATE INDEX IF NOT EXISTS waiting ON deliveries (id) WHERE delivered_at IS NULL;
"""
_VERSION = 1


def open_database(data: Path) -> sqlite3.Connection:
    """Open the database in the folder *data*, made where missing. Raises RuntimeError for one of a newer release."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data / "github.sqlite3"
    # SQLite gives its -wal and -shm files the mode of the database: the secrets inside are nobody else's.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(path, isolation_level=None, timeout=10)
    database.row_factory = sqlite3.Row
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > _VERSION:
        database.close()
        raise RuntimeError(f"{path} was written by a newer release: upgrade this one, or take another folder")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.executescript(_SCHEMA)
    database.execute(f"PRAGMA user_version = {_VERSION}")
    return database
