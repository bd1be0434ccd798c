"""Uploads in progress: one folder each, with the bytes so far and the repository they are for.

Nothing is kept in memory, so an upload goes on after the process was killed: what is on disk is the offset.
"""

import asyncio
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.local.registry import names
from workers.local.registry.errors import RegistryError
from workers.local.registry.storage import Storage, sha256_of

ABANDONED_AFTER = 24 * 3600.0
"""Seconds without a byte after which an upload is swept away at start."""


class Uploads:
    """All upload sessions of one registry. `limit` is the largest blob in bytes."""

    def __init__(self, root: Path, storage: Storage, *, limit: int) -> None:
        self._root = root / "uploads"
        self._storage = storage
        self._limit = limit
        self._busy: set[str] = set()
        self._root.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def open(self, repository: str) -> str:
        """Begin an upload and return its id."""
        upload = uuid.uuid4().hex
        folder = self._root / upload
        folder.mkdir()
        (folder / "data").touch()
        (folder / "repository").write_text(repository)
        return upload

    def offset(self, repository: str, upload: str) -> int:
        """Return how many bytes have arrived. Raises BLOB_UPLOAD_UNKNOWN."""
        return self._data(repository, upload).stat().st_size

    def cancel(self, repository: str, upload: str) -> None:
        """Throw an upload away. Raises BLOB_UPLOAD_UNKNOWN."""
        data = self._data(repository, upload)
        with self._alone(upload):
            shutil.rmtree(data.parent)

    async def append(
        self, repository: str, upload: str, chunks: AsyncIterator[bytes], *, start: int | None, length: int | None
    ) -> int:
        """Add a chunk and return the new offset.

        `start` and `length` come from Content-Range, None where the client streams. Raises BLOB_UPLOAD_INVALID with
        416 for a chunk out of order, SIZE_INVALID for one that is not as long as announced or beyond the limit.
        """
        data = self._data(repository, upload)
        with self._alone(upload):
            before = data.stat().st_size
            if start is not None and start != before:
                raise RegistryError(
                    "BLOB_UPLOAD_INVALID",
                    f"the next chunk begins at byte {before}, not at {start}",
                    status=416,
                    headers={"Range": range_header(before)},
                )
            after = await self._write(data, before, chunks)
            if length is not None and after - before != length:
                raise RegistryError("SIZE_INVALID", f"the chunk has {after - before} bytes, its range says {length}")
        return after

    async def finish(self, repository: str, upload: str, digest: str) -> None:
        """Verify the bytes and make them a blob. Raises DIGEST_INVALID, which also ends the upload."""
        data = self._data(repository, upload)
        with self._alone(upload):
            actual = await asyncio.to_thread(sha256_of, data)
            if actual == digest:
                self._storage.adopt_blob(repository, digest, data)
            shutil.rmtree(data.parent)
        if actual != digest:
            raise RegistryError("DIGEST_INVALID", f"the bytes have the digest {actual}, not {digest}")

    async def _write(self, data: Path, before: int, chunks: AsyncIterator[bytes]) -> int:
        after = before
        with data.open("ab") as file:
            async for chunk in chunks:
                after += len(chunk)
                if after > self._limit:
                    file.truncate(before)
                    raise RegistryError("SIZE_INVALID", f"a blob has {self._limit} bytes at most", status=413)
                file.write(chunk)
        return after

    def _data(self, repository: str, upload: str) -> Path:
        folder = self._root / names.upload(upload)
        try:
            owner = (folder / "repository").read_text()
        except FileNotFoundError:
            owner = None
        if owner != repository:
            raise RegistryError("BLOB_UPLOAD_UNKNOWN", "there is no such upload")
        return folder / "data"

    @contextmanager
    def _alone(self, upload: str) -> Iterator[None]:
        if upload in self._busy:
            raise RegistryError("BLOB_UPLOAD_INVALID", "another request is writing to this upload", status=409)
        self._busy.add(upload)
        try:
            yield
        finally:
            self._busy.discard(upload)

    def _sweep(self) -> None:
        oldest = time.time() - ABANDONED_AFTER
        for folder in self._root.iterdir():
            data = folder / "data"
            if not data.exists() or data.stat().st_mtime < oldest:
                shutil.rmtree(folder)


def range_header(offset: int) -> str:
    """Return the Range header for an offset; nothing yet is written `0-0`, as registries do."""
    return f"0-{max(offset - 1, 0)}"
