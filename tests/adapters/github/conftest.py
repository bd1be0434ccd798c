"""The adapter in front of a local GitHub that a test may let misbehave."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.contracts.github.conftest import Objects, github_settings
from workers.adapters.github import AppCredentials, AppDeliveries, GithubClient, GithubRepositories
from workers.local.github import Github
from workers.ports.github import Repository

MAIN = "refs/heads/main"


@dataclass
class Setting:
    """All parts, and a clock of ours that a test moves (Unix seconds are added to the real ones)."""

    local: Github
    client: GithubClient
    credentials: AppCredentials
    github: GithubRepositories
    deliveries: AppDeliveries
    objects: Objects
    repository: Repository
    ahead: list[float] = field(default_factory=lambda: [0.0])

    @property
    def tokens(self) -> int:
        """How many installation tokens were asked for."""
        return self.local.faults.calls["POST token"]


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    """Run the local GitHub with one commit on main."""
    ahead = [0.0]
    async with Github(tmp_path / "github", clock=lambda: time.time() + ahead[0]) as local:
        names = local.names
        settings = github_settings(local)
        client = GithubClient(settings.api, timeout=60, now=lambda: time.time() + ahead[0])
        credentials = AppCredentials(settings, client, now=lambda: time.time() + ahead[0])
        objects = Objects(tmp_path / "github" / "repositories" / f"{names.repository_id}.git")
        objects.point(MAIN, objects.commit({"onboarding/acme/tenant.yaml": "1", "README.md": "1"}))
        yield Setting(
            local,
            client,
            credentials,
            GithubRepositories(client, credentials, now=lambda: time.monotonic() + ahead[0]),
            AppDeliveries(client, credentials),
            objects,
            Repository(names.repository_id, names.installation_id),
            ahead,
        )
        await client.close()
