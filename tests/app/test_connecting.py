"""The bus, under an identity."""

import logging
import socket
from pathlib import Path

import pytest

from workers.app.connecting import connect_as
from workers.failures import NotFound, Unavailable
from workers.settings import Settings


async def test_bus_that_is_not_there_is_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody listens: the error says where and what to do, and no attempt is logged beside it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"nats://127.0.0.1:{listening.getsockname()[1]}"
    with caplog.at_level(logging.INFO), pytest.raises(Unavailable, match="sealane up"):
        async with connect_as("operator", settings=Settings(nats=address)):
            raise AssertionError("there is no bus to be connected to")

    assert caplog.messages == []


async def test_missing_seed_is_named(tmp_path: Path) -> None:
    """The seed of an identity that is not where the settings say is named, before anything is connected."""
    settings = Settings(nats_seed=f"file://{tmp_path}/{{identity}}.seed")
    with pytest.raises(NotFound, match=r"operator\.seed"):
        async with connect_as("operator", settings=settings):
            raise AssertionError("without a seed nobody is connected")
