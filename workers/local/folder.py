"""The folder of a local world: locked while in use, its ports chosen once, its endpoints published when all is ready.

    DIR/version          version of this layout, see `workers.local.version`
    DIR/lock             held (flock) by the running world; holds its process id
    DIR/ports.json       chosen free once, kept
    DIR/endpoints.json   where everything is, written by rename when all of it answers, removed at the end
    DIR/token            the local access token, 0600
    DIR/identities/door.key   the local API key of the door, 0600
    DIR/identities/console.key   what the console signs cookies and links with, 0600
    DIR/identities/      one nkey seed per bus identity, 0600
    DIR/oidc             the private keys of the local issuers, 0600
    DIR/github           repositories, the App's key and the webhook's secret, and `gitconfig`, with which git gets in
    DIR/nats, google, registry, logs

A lock falls with its process, even by kill -9: endpoints count only while the process that wrote them holds the lock.
"""

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# Below the range from which the kernel takes ports for outgoing connections, which would steal a kept one.
_LOWEST, _HIGHEST = 20000, 32000
_PATIENCE = 1.0
_LETTING_GO = 5.0
_POLL = 0.02
_TAKEN = {errno.EADDRINUSE, errno.EACCES, errno.EPERM}


class FolderError(RuntimeError):
    """The folder cannot be used now; the sentence says why and what to do."""


class WorldFolder:
    """One folder of a local world. `root` is made when it is locked."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._lock: int | None = None

    @property
    def token_file(self) -> Path:
        """Where the local access token is."""
        return self.root / "token"

    @property
    def identities(self) -> Path:
        """Where the nkey seeds are."""
        return self.root / "identities"

    @property
    def key_file(self) -> Path:
        """Where the local API key of the door is."""
        return self.identities / "door.key"

    @property
    def console_file(self) -> Path:
        """Where the secret is with which the console signs its cookies and links."""
        return self.identities / "console.key"

    @property
    def logs(self) -> Path:
        """Where the child processes write."""
        return self.root / "logs"

    async def lock(self) -> None:
        """Take the folder for this process. Raises FolderError naming who holds it, or why it is none."""
        descriptor = await self._locked()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock = descriptor
        self._endpoints.unlink(missing_ok=True)

    async def _locked(self) -> int:
        while True:
            descriptor = self._opened_lock()
            await self._wait_for(descriptor)
            # Somebody who replaced the folder meanwhile took the file of this lock away with the old one.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), (self.root / "lock").stat()):
                    return descriptor
            os.close(descriptor)

    def _opened_lock(self) -> int:
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise FolderError(
                f"{self.root} cannot be the folder of a local world ({error.strerror}): name one that may be written"
            ) from error

    async def _wait_for(self, descriptor: int) -> None:
        if not await _lock_patiently(descriptor):
            holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise FolderError(
                f"{self.root} is in use by process {holder or 'unknown'}: stop that one, or name another folder"
            )

    def unlock(self) -> None:
        """Give the folder back; the endpoints go first."""
        if self._lock is not None:
            self._endpoints.unlink(missing_ok=True)
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def holder(self) -> int | None:
        """Return the process id of the world that runs here, or None."""
        try:
            descriptor = os.open(self.root / "lock", os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            if _lock(descriptor, fcntl.LOCK_SH):
                return None
            text = os.pread(descriptor, 64, 0).decode(errors="replace").strip()
        finally:
            os.close(descriptor)
        return int(text) if text.isdigit() else None

    def kept_ports(self) -> dict[str, int]:
        """Return the ports that this folder keeps, by name."""
        file = self.root / "ports.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    async def ports(self, names: Iterable[str], *, lent: Iterable[str] = ()) -> dict[str, int]:
        """Return the port of each name: kept from before, or chosen free and kept.

        Raises FolderError when somebody else took a kept one; those that are `lent` are another process's to open.
        """
        file, kept = self.root / "ports.json", self.kept_ports()
        names, lent = tuple(names), tuple(lent)
        for name in (*names, *lent):
            if name not in kept:
                kept[name] = _free_port(taken=kept.values())
        _replace(file, kept)
        for name in names:
            if not await _becomes_free(kept[name]):
                raise FolderError(
                    f"port {kept[name]} ({name}), which {file} keeps for this world, is taken by another program:"
                    f" stop that one, or delete {file} to have free ports chosen anew"
                )
        return {name: kept[name] for name in (*names, *lent)}

    def token(self) -> str:
        """Return the local access token, made on first use."""
        return _secret(self.token_file)

    def api_key(self) -> str:
        """Return the local API key of the door, made on first use."""
        self.identities.mkdir(mode=0o700, exist_ok=True)
        return _secret(self.key_file, prefix="slk_")

    def console_secret(self) -> str:
        """Return the secret of the console, made on first use."""
        self.identities.mkdir(mode=0o700, exist_ok=True)
        return _secret(self.console_file)

    def publish(self, endpoints: Mapping[str, Any]) -> None:
        """Say where everything is, now that all of it answers."""
        _replace(self._endpoints, dict(endpoints) | {"pid": os.getpid()})

    def endpoints(self) -> dict[str, Any] | None:
        """Return where everything is, or None while no world is ready here; leftovers of a dead one do not count."""
        try:
            found: dict[str, Any] = json.loads(self._endpoints.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return found if found.get("pid") == self.holder() else None

    @property
    def _endpoints(self) -> Path:
        return self.root / "endpoints.json"


def _secret(file: Path, *, prefix: str = "") -> str:
    if not file.exists():
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(prefix + secrets.token_urlsafe(32))
    return file.read_text().strip()


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _lock_patiently(descriptor: int) -> bool:
    """Take the lock; somebody who only looks holds it for a moment."""
    deadline = time.monotonic() + _PATIENCE
    while not _lock(descriptor, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL)
    return True


def _free_port(*, taken: Iterable[int]) -> int:
    for _ in range(1000):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST)
        if port not in taken and _is_free(port):
            return port
    raise FolderError(f"no free port between {_LOWEST} and {_HIGHEST} on 127.0.0.1: stop something that listens there")


def _is_free(port: int) -> bool:
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
            listening.listen()
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            return False
    return True


async def _becomes_free(port: int) -> bool:
    """Whether one could listen; a world that was just killed needs a moment to let go."""
    deadline = time.monotonic() + _LETTING_GO
    while not _is_free(port):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL)
    return True


def _replace(file: Path, content: Mapping[str, Any]) -> None:
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    fresh.write_text(json.dumps(content, indent=2) + "\n")
    fresh.replace(file)
