"""The local GitHub in the world: where it is, and the settings that make the local lane listen to it and ask it."""

from collections.abc import Mapping
from typing import Any

from workers.local.folder import WorldFolder
from workers.local.github import Github, seeded
from workers.redaction import conceal

WEBHOOK = "/webhooks/github"
"""Where the webhooks of its App go, at the world's own door."""
_TENANTS = "onboarding/{tenant}/*.yaml"


def describe_github(folder: WorldFolder, port: int, registry: str) -> dict[str, Any]:
    """Return its endpoint, and the settings (SEALANE_GITHUB) of whoever joins the world."""
    names, url = seeded(folder.root / "github"), f"http://127.0.0.1:{port}"
    rule = {"repository_id": names.repository_id, "ref": "refs/heads/main", "paths": _TENANTS}
    settings = {
        "api": url,
        "app_id": str(names.app_id),
        "private_key": f"file://{names.private_key}",
        "secrets": [f"file://{names.webhook_secret}"],
        "rules": [
            {**rule, "changes": ["added", "modified"], "event": "tenant.onboarded"},
            {**rule, "changes": ["removed"], "event": "tenant.offboarded"},
        ],
        "package_owners": [{"owner": names.owner, "owner_id": names.owner_id}],
        "package_hosts": [registry],
    }
    return {"github": url, "github_settings": settings}


def local_github(folder: WorldFolder, registry: str) -> Github:
    """Return the GitHub of a folder, to be started; its container packages are in the local registry."""
    return Github(folder.root / "github", registry=registry)


async def greet_door(github: Github, endpoints: Mapping[str, Any]) -> None:
    """Send the webhooks to the door, now that it is open, and keep their secret and the token out of every log."""
    for file in (github.names.webhook_secret, github.names.personal_token):
        conceal(file.read_text().strip())
    await github.hook_to(f"{endpoints['http']}{WEBHOOK}")
