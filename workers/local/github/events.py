"""What happens here becomes events, for the App where it is installed and asked to be told."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from workers.local.github.credentials import Caller
from workers.local.github.deliveries import Deliveries
from workers.local.github.directory import Directory
from workers.local.github.documents import Documents
from workers.local.github.packages import package_payloads
from workers.local.github.pushes import announced, push_payload, sender_of
from workers.local.github.records import Account, Installation, Repository, timestamp
from workers.local.github.repositories import Repositories
from workers.local.github.smart_http import Update

_ZEN = "Keep it logically awesome."


class Events:
    """Tells the App of pushes and packages."""

    def __init__(
        self, directory: Directory, repositories: Repositories, documents: Documents, deliveries: Deliveries
    ) -> None:
        self._directory = directory
        self._repositories = repositories
        self._documents = documents
        self._deliveries = deliveries

    async def pushed(self, repository: Repository, updates: Sequence[Update], caller: Caller) -> None:
        """Tell of the refs of one push; the lock of the repository is held."""
        repository, app = self._directory.pushed(repository), self._directory.app()
        listener = self._listener(repository, "push")
        if listener is None or app is None:
            return
        pusher = (sender_of(caller, app.slug), listener)
        for payload in await asyncio.to_thread(self._payloads, repository, updates, pusher):
            self._send("push", payload, repository, listener)

    def published(self, repository: Repository, name: str, tag: str, digest: str, sender: Account, at: float) -> None:
        """Tell of a container package, in both forms that GitHub has for it."""
        number = self._directory.package(repository.owner, name)
        installation = self._directory.installation_on(repository)
        image, published = (number, name, tag, digest), (sender, installation, at)
        for event, payload in package_payloads(self._documents, repository, image, published).items():
            if (listener := self._listener(repository, event)) is not None:
                self._send(event, payload, repository, listener)

    def ping(self) -> None:
        """Tell the App's webhook that it is one."""
        app = self._directory.app()
        if app is None:
            return
        hook = {
            "type": "App",
            "id": app.id,
            "name": "web",
            "active": True,
            "events": sorted({event for one in self._directory.installations() for event in one.events}),
            "config": {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": app.hook_url},
            "app_id": app.id,
            "created_at": timestamp(app.created_at),
            "updated_at": timestamp(app.created_at),
            "deliveries_url": f"{self._documents.url}/app/hook/deliveries",
        }
        payload = {"zen": _ZEN, "hook_id": app.id, "hook": hook}
        self._deliveries.enqueue("ping", payload, installation=None, repository=None)

    def _payloads(
        self, repository: Repository, updates: Sequence[Update], pusher: tuple[Account, Installation | None]
    ) -> list[dict[str, Any]]:
        with self._repositories.open(repository) as repo:
            return [
                push_payload(
                    repo, self._documents, repository, update, [one for one in updates if one != update], pusher
                )
                for update in announced(updates)
            ]

    def _listener(self, repository: Repository, event: str) -> Installation | None:
        """Return the installation that is to be told, if it sees the repository, works, and asked for the event."""
        found = self._directory.installation_on(repository)
        return found if found is not None and found.suspended_at is None and event in found.events else None

    def _send(self, event: str, payload: Mapping[str, Any], repository: Repository, installation: Installation) -> None:
        self._deliveries.enqueue(event, payload, installation=installation.id, repository=repository.id)
