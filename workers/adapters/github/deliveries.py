"""The port Deliveries: the App's webhook deliveries.

Source: docs.github.com/rest/apps/webhooks: list deliveries (by cursor, newest first; three days), redeliver one.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from workers.adapters.github.client import GithubClient
from workers.adapters.github.credentials import AppCredentials
from workers.failures import Unavailable
from workers.ports.github import Delivery

_PAGE = 100
_OK = range(200, 300)


class AppDeliveries:
    """Lists deliveries and asks for them again, as the App itself."""

    def __init__(self, client: GithubClient, credentials: AppCredentials) -> None:
        self._client = client
        self._credentials = credentials

    @property
    def configured(self) -> bool:
        """See workers.ports.Deliveries."""
        return self._credentials.configured

    async def attempts(self) -> AsyncIterator[Delivery]:
        """See workers.ports.Deliveries."""
        page: str | None = f"/app/hook/deliveries?per_page={_PAGE}"
        while page is not None:
            answer = await self._client.get(page, await self._credentials.app())
            for delivery in _deliveries(answer.data):
                yield delivery
            page = answer.next_page

    async def redeliver(self, attempt: int) -> None:
        """See workers.ports.Deliveries."""
        await self._client.post(f"/app/hook/deliveries/{attempt}/attempts", await self._credentials.app())


def _deliveries(page: Any) -> list[Delivery]:
    try:
        return [_delivery(item) for item in page]
    except (KeyError, TypeError, ValueError):
        raise Unavailable("GitHub lists something that is no delivery") from None


def _delivery(item: Any) -> Delivery:
    return Delivery(
        id=int(item["id"]),
        guid=str(item["guid"]),
        again=bool(item["redelivery"]),
        delivered_at=datetime.fromisoformat(item["delivered_at"]),
        ok=item["status_code"] in _OK,
        status=str(item["status"])[:100],
        event=str(item["event"])[:100],
    )
