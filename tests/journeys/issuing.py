"""Issuers beside a world, for tests that wait for processes: they serve from a thread of their own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.local.oidc import OidcIssuers


@contextmanager
def issuers_in_a_thread(folder: Path) -> Iterator[OidcIssuers]:
    """Run the issuers until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="issuers", daemon=True)
    thread.start()
    issuers = OidcIssuers(folder, token="of-the-test")
    asyncio.run_coroutine_threadsafe(issuers.start(), loop).result(30)
    try:
        yield issuers
    finally:
        asyncio.run_coroutine_threadsafe(issuers.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
