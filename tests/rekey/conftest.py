"""One world a test."""

import pytest

from tests.rekey.world import World


@pytest.fixture
def world() -> World:
    """One attestor, an old key and a next one, all in memory."""
    return World()
