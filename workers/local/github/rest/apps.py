"""What the App asks of itself: its installations, its tokens, and the deliveries of its webhook.

Sources: https://docs.github.com/en/rest/apps/apps, /installations and /webhooks (2022-11-28).
"""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from workers.local.github import paging
from workers.local.github.access import CALLER, require_app
from workers.local.github.credentials import Credentials, permits
from workers.local.github.deliveries import Deliveries
from workers.local.github.directory import Directory
from workers.local.github.documents import Documents, node_id
from workers.local.github.errors import GithubError, bad_credentials, not_found
from workers.local.github.records import App, Installation, Repository, timestamp
from workers.local.github.rest.bodies import body_of, json_object, number

MOST_REPOSITORIES = 500
"""Named in one request for a token."""


class AppRoutes:
    """The handlers below `/app` and `/installation`."""

    def __init__(
        self, directory: Directory, credentials: Credentials, deliveries: Deliveries, documents: Documents
    ) -> None:
        self._directory = directory
        self._credentials = credentials
        self._deliveries = deliveries
        self._documents = documents

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        delivery = "/app/hook/deliveries/{id}"
        return [
            web.get("/app", self.app, name="app"),
            web.get("/app/installations", self.installations, name="installations"),
            web.get("/app/installations/{id}", self.installation, name="installation"),
            web.post("/app/installations/{id}/access_tokens", self.token, name="token"),
            web.get("/app/hook/config", self.hook, name="hook"),
            web.patch("/app/hook/config", self.change_hook),
            web.get("/app/hook/deliveries", self.deliveries, name="deliveries"),
            web.get(delivery, self.delivery, name="delivery"),
            web.post(f"{delivery}/attempts", self.attempt, name="attempt"),
            web.get("/installation/repositories", self.repositories, name="repositories"),
            web.delete("/installation/token", self.revoke, name="revocation"),
        ]

    async def app(self, request: web.Request) -> web.Response:
        """Show the App."""
        app = require_app(request)
        installations = self._directory.installations()
        granted = installations[0] if installations else None
        body = {
            "id": app.id,
            "client_id": app.client_id,
            "slug": app.slug,
            "node_id": node_id("App", app.id),
            "owner": self._documents.account(app.owner),
            "name": app.name,
            "created_at": timestamp(app.created_at),
            "updated_at": timestamp(app.created_at),
            "permissions": dict(granted.permissions) if granted else {},
            "events": list(granted.events) if granted else [],
            "installations_count": len(installations),
        }
        return web.json_response(body)

    async def installations(self, request: web.Request) -> web.Response:
        """List where the App is installed."""
        app = require_app(request)
        found = self._directory.installations()
        shown, headers = paging.cut(request, found, paging.per_page(request))
        return web.json_response([self._installation(app, one) for one in shown], headers=headers)

    async def installation(self, request: web.Request) -> web.Response:
        """Show one installation."""
        app = require_app(request)
        return web.json_response(self._installation(app, self._find(request)))

    async def token(self, request: web.Request) -> web.Response:
        """Issue a token for an installation, narrowed to repositories and permissions where that is asked for."""
        require_app(request)
        installation = self._find(request)
        if installation.suspended_at is not None:
            raise GithubError(403, "This installation has been suspended")
        asked = await json_object(request)
        permissions = _permissions(installation, asked.get("permissions"))
        repositories = self._repositories(installation, asked)
        token, expires = self._credentials.issue(installation, permissions, repositories)
        body: dict[str, Any] = {
            "token": token,
            "expires_at": timestamp(expires),
            "permissions": permissions,
            "repository_selection": installation.selection if repositories is None else "selected",
        }
        if repositories is not None:
            body["repositories"] = [self._documents.repository(repository) for repository in repositories]
        return web.json_response(body, status=201, headers={"Cache-Control": "no-store"})

    async def revoke(self, request: web.Request) -> web.Response:
        """End the token that is shown."""
        caller = request[CALLER]
        if caller.installation is None:
            raise bad_credentials()
        self._credentials.revoke(caller)
        return web.Response(status=204)

    async def repositories(self, request: web.Request) -> web.Response:
        """List what the token that is shown may see."""
        caller = request[CALLER]
        if caller.installation is None:
            raise bad_credentials()
        seen = self._directory.seen_by(caller.installation)
        within = [one for one in seen if caller.repositories is None or one.id in caller.repositories]
        shown, headers = paging.cut(request, within, paging.per_page(request))
        body = {
            "total_count": len(within),
            "repository_selection": "all" if caller.repositories is None else "selected",
            "repositories": [self._documents.repository(one) for one in shown],
        }
        return web.json_response(body, headers=headers)

    async def hook(self, request: web.Request) -> web.Response:
        """Show where the webhook goes; the secret is never shown."""
        return web.json_response(_hook(require_app(request)))

    async def change_hook(self, request: web.Request) -> web.Response:
        """Change where the webhook goes, or its secret."""
        require_app(request)
        asked = await json_object(request)
        url, secret = asked.get("url"), asked.get("secret")
        if any(value is not None and (not isinstance(value, str) or not value) for value in (url, secret)):
            raise GithubError(422, "Invalid request.\n\nurl and secret are texts.")
        self._directory.set_hook(url=url, secret=secret)
        changed = self._directory.app()
        if changed is None:
            raise not_found()
        return web.json_response(_hook(changed))

    async def deliveries(self, request: web.Request) -> web.Response:
        """List deliveries, the latest first; `cursor` is the one after which a page begins."""
        require_app(request)
        size, cursor = paging.per_page(request), request.query.get("cursor")
        status = request.query.get("status")
        if cursor is not None and not cursor.removeprefix("v1_").isdigit():
            raise GithubError(400, "Invalid cursor")
        if status not in {None, "success", "failure"}:
            raise GithubError(422, "Invalid request.\n\nstatus is success or failure.")
        below = None if cursor is None else number(cursor.removeprefix("v1_"))
        rows = self._deliveries.tried(below=below, status=status, count=size + 1)
        more = {"next": {"cursor": f"v1_{rows[size - 1]['id']}"}} if len(rows) > size else {}
        return web.json_response([_delivery(row) for row in rows[:size]], headers=paging.link(request, more))

    async def delivery(self, request: web.Request) -> web.Response:
        """Show one delivery with what was sent and what was answered."""
        require_app(request)
        row = self._deliveries.find(number(request.match_info["id"]))
        if row is None:
            raise not_found()
        sent = {"headers": json.loads(row["request"]), "payload": json.loads(bytes(row["payload"]))}
        answered = {"headers": json.loads(row["response"]), "payload": row["answer"]}
        return web.json_response(_delivery(row) | {"url": row["url"], "request": sent, "response": answered})

    async def attempt(self, request: web.Request) -> web.Response:
        """Deliver once more what is kept still."""
        require_app(request)
        if self._deliveries.again(number(request.match_info["id"])) is None:
            raise not_found()
        return web.json_response({}, status=202)

    def _find(self, request: web.Request) -> Installation:
        installation = self._directory.installation(number(request.match_info["id"]))
        if installation is None:
            raise not_found()
        return installation

    def _repositories(self, installation: Installation, asked: Mapping[str, Any]) -> list[Repository] | None:
        """Return the repositories that a token is narrowed to, or None."""
        names, ids = asked.get("repositories"), asked.get("repository_ids")
        if names is None and ids is None:
            return None
        wanted: list[str | int] = [*body_of(names, str), *body_of(ids, int)]
        if len(wanted) > MOST_REPOSITORIES:
            raise GithubError(422, f"No more than {MOST_REPOSITORIES} repositories can be named")
        seen: dict[str | int, Repository] = {}
        for repository in self._directory.seen_by(installation):
            seen |= {repository.name.lower(): repository, repository.id: repository}
        found = [seen.get(name.lower() if isinstance(name, str) else name) for name in wanted]
        within = [repository for repository in found if repository is not None]
        if len(within) < len(found):
            raise GithubError(
                422,
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            )
        return list({repository.id: repository for repository in within}.values())

    def _installation(self, app: App, installation: Installation) -> dict[str, Any]:
        place = f"{self._documents.url}/app/installations/{installation.id}"
        return {
            "id": installation.id,
            "client_id": app.client_id,
            "account": self._documents.account(installation.account),
            "repository_selection": installation.selection,
            "access_tokens_url": f"{place}/access_tokens",
            "repositories_url": f"{self._documents.url}/installation/repositories",
            "html_url": place,
            "app_id": app.id,
            "app_slug": app.slug,
            "target_id": installation.account.id,
            "target_type": installation.account.type,
            "permissions": dict(installation.permissions),
            "events": list(installation.events),
            "created_at": timestamp(installation.created_at),
            "updated_at": timestamp(installation.created_at),
            "suspended_at": timestamp(installation.suspended_at),
        }


def _permissions(installation: Installation, asked: object) -> dict[str, str]:
    if asked is None:
        return dict(installation.permissions)
    if not isinstance(asked, dict) or not all(level in {"read", "write", "admin"} for level in asked.values()):
        raise GithubError(422, "Invalid request.\n\npermissions maps names to read, write or admin.")
    if not all(permits(installation.permissions, name, level) for name, level in asked.items()):
        raise GithubError(422, "The permissions requested are not granted to this installation.")
    return {"metadata": "read", **asked}


def _hook(app: App) -> dict[str, Any]:
    return {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": app.hook_url}


def _delivery(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "guid": row["guid"],
        "delivered_at": timestamp(row["delivered_at"]),
        "redelivery": bool(row["redelivery"]),
        "duration": row["duration"],
        "status": row["status"],
        "status_code": row["status_code"],
        "event": row["event"],
        "action": row["action"],
        "installation_id": row["installation"],
        "repository_id": row["repository"],
        "throttled_at": None,
    }
