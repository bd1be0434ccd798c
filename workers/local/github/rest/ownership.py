"""What a person does: make and rename repositories, select them for an installation, tell of packages.

Sources: https://docs.github.com/en/rest/repos/repos#create-an-organization-repository, #update-a-repository, and
https://docs.github.com/en/rest/apps/installations#add-a-repository-to-an-app-installation. GitHub has no address that
publishes a package but its registry, so ours is below `/_local`.
"""

import asyncio
import re
import sqlite3
from collections.abc import Callable

from aiohttp import web

from workers.local.github.access import CALLER
from workers.local.github.directory import Directory
from workers.local.github.documents import Documents
from workers.local.github.errors import GithubError, not_found
from workers.local.github.events import Events
from workers.local.github.records import Account
from workers.local.github.repositories import Repositories
from workers.local.github.rest.bodies import json_object, number

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class OwnerRoutes:
    """The handlers that take a personal token alone."""

    def __init__(
        self,
        directory: Directory,
        repositories: Repositories,
        documents: Documents,
        events: Events,
        clock: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._repositories = repositories
        self._documents = documents
        self._events = events
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/orgs/{owner}/repos", self.create, name="creation"),
            web.patch("/repos/{owner}/{name}", self.rename, name="renaming"),
            web.put("/user/installations/{id}/repositories/{repository}", self.select, name="selection"),
            web.post("/_local/packages", self.publish, name="package"),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Make an empty repository in an organization."""
        _require_user(request)
        owner, asked = self._directory.account(request.match_info["owner"]), await json_object(request)
        if owner is None:
            raise not_found()
        name, private = _name(asked.get("name")), asked.get("private", False) is True
        try:
            repository = self._directory.add_repository(owner, name, private=private, branch="main")
        except sqlite3.IntegrityError as error:
            raise GithubError(422, "Repository creation failed.") from error
        await asyncio.to_thread(self._repositories.create, repository)
        return web.json_response(self._documents.repository(repository), status=201)

    async def rename(self, request: web.Request) -> web.Response:
        """Call a repository otherwise; whoever uses its former name is sent to its id."""
        _require_user(request)
        repository = self._directory.repository(request.match_info["owner"], request.match_info["name"])
        asked = await json_object(request)
        if repository is None:
            raise not_found()
        try:
            renamed = self._directory.rename(repository, _name(asked.get("name")))
        except sqlite3.IntegrityError as error:
            raise GithubError(422, "Validation Failed") from error
        return web.json_response(self._documents.repository(renamed))

    async def select(self, request: web.Request) -> web.Response:
        """Let an installation see one more repository of its account."""
        _require_user(request)
        installation = self._directory.installation(number(request.match_info["id"]))
        repository = self._directory.repository_by_id(number(request.match_info["repository"]))
        if installation is None or repository is None or repository.owner.id != installation.account.id:
            raise not_found()
        self._directory.select(installation.id, repository.id)
        return web.Response(status=204)

    async def publish(self, request: web.Request) -> web.Response:
        """Tell of a container package: `repository` (OWNER/NAME), `name`, `digest`, and `tag`, empty for none."""
        user, asked = _require_user(request), await json_object(request)
        owner, _, name = str(asked.get("repository", "")).partition("/")
        repository = self._directory.repository(owner, name)
        image, digest = asked.get("name"), str(asked.get("digest", ""))
        if repository is None:
            raise not_found()
        if not isinstance(image, str) or not image or not _DIGEST.fullmatch(digest):
            raise GithubError(422, "Invalid request.\n\nname is a text, digest is sha256: and 64 hexadecimal digits.")
        self._events.published(repository, image, str(asked.get("tag", "")), digest, user, self._clock())
        return web.Response(status=202)


def _name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in {".", ".."} or name.endswith(".git"):
        raise GithubError(422, "Repository creation failed.")
    return name


def _require_user(request: web.Request) -> Account:
    user: Account | None = request[CALLER].user
    if user is None:
        raise GithubError(401, "Requires authentication")
    return user
