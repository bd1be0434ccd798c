"""A running GitHub with a client, a receiver of its webhooks, and a clone of its repository."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from tests.local.github.client import Api, Receiver, WorkTree
from workers.local.github import Github
from workers.local.loopback import Loopback


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Run what stands at the end of the webhook."""
    receiver = Receiver()
    application = web.Application(client_max_size=30 << 20)
    application.router.add_post("/webhooks/github", receiver.take)
    server = Loopback("the receiver")
    await server.start(application)
    receiver.url = f"{server.url}/webhooks/github"
    yield receiver
    await server.stop()


@pytest.fixture
async def github(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Github]:
    """Run a GitHub whose webhooks go to the receiver, which has answered the ping already."""
    async with Github(tmp_path / "github") as github:
        await github.hook_to(receiver.url)
        await github.deliveries.settled()
        yield github


@pytest.fixture
async def api(github: Github) -> AsyncIterator[Api]:
    """Yield a client of the REST API."""
    async with ClientSession() as session:
        yield Api(github, session)


@pytest.fixture
async def tree(github: Github, tmp_path: Path) -> WorkTree:
    """Clone acme/onboarding as the person who owns it."""
    await WorkTree(tmp_path, github.names.git_config).git("clone", "-q", f"{github.url}/acme/onboarding.git", "tree")
    return WorkTree(tmp_path / "tree", github.names.git_config)
