"""What a person does: select repositories for an installation, and tell of a package that was pushed elsewhere.

Source: https://docs.github.com/en/rest/apps/installations#add-a-repository-to-an-app-installation. GitHub has no
address that publishes a package but its registry, so ours is below `/_local`.
"""

import re
from collections.abc import Callable

from aiohttp import web

from workers.local.github.access import CALLER
from workers.local.github.directory import Directory
from workers.local.github.errors import GithubError, not_found
from workers.local.github.events import Events
from workers.local.github.records import Account
from workers.local.github.rest.bodies import json_object, number

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class OwnerRoutes:
    """The handlers that take a personal token alone."""

    def __init__(self, directory: Directory, events: Events, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._events = events
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.put("/user/installations/{id}/repositories/{repository}", self.select, name="selection"),
            web.post("/_local/packages", self.publish, name="package"),
        ]

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


def _require_user(request: web.Request) -> Account:
    user: Account | None = request[CALLER].user
    if user is None:
        raise GithubError(401, "Requires authentication")
    return user
