"""The local Google services, with an administrator's hands."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contracts.google import GoogleWorld, google_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[GoogleWorld]:
    """Run the services and connect to them."""
    async with google_world(tmp_path) as running:
        yield running
