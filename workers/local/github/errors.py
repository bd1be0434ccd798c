"""What GitHub answers when it refuses: a status, and a JSON body with message, documentation_url and status.

Source: https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api.
"""

from collections.abc import Mapping

from aiohttp import web

DOCUMENTATION = "https://docs.github.com/rest"


class GithubError(Exception):
    """A refusal that the client is told."""

    def __init__(self, status: int, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})

    def response(self) -> web.Response:
        """Return the answer."""
        body = {"message": str(self), "documentation_url": DOCUMENTATION, "status": str(self.status)}
        return web.json_response(body, status=self.status, headers=self.headers)


def not_found() -> GithubError:
    """Return what is said of what is not there, and of what one may not see."""
    return GithubError(404, "Not Found")


def bad_credentials() -> GithubError:
    """Return what is said of a token that is none, is over, or was revoked."""
    return GithubError(401, "Bad credentials")
