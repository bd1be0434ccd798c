"""One world a test."""

import pytest

from tests.attest.world import World


@pytest.fixture
def world() -> World:
    """One image, one attestor, one key, all in memory."""
    return World()
