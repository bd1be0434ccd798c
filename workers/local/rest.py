"""Calls the local Google services over REST as anybody would in the cloud, with the production host in the request."""

import json
from http.client import HTTPConnection
from typing import Any

_OK, _NOT_FOUND, _CONFLICT = 200, 404, 409
_PATIENCE = 30.0


class RestError(RuntimeError):
    """A local service refused a call; the sentence names the call and holds the answer."""


class GoogleRest:
    """The services behind one REST port. Paths begin with the version of the API: "v1/projects/…"."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token

    def make(self, host: str, path: str, body: dict[str, Any], *, verb: str = "POST") -> None:
        """Create; there already is fine. Raises RestError and OSError."""
        self.call(verb, host, path, body, fine=(_OK, _CONFLICT))

    def find(self, host: str, path: str) -> dict[str, Any] | None:
        """Get, or None where there is none. Raises RestError and OSError."""
        status, found = self.call("GET", host, path, None, fine=(_OK, _NOT_FOUND))
        return found if status == _OK else None

    def call(
        self, verb: str, host: str, path: str, body: dict[str, Any] | None, *, fine: tuple[int, ...] = (_OK,)
    ) -> tuple[int, dict[str, Any]]:
        """Call and return status and answer. Raises RestError for another status than the *fine* ones, and OSError."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        headers = {"Host": host, "Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            content = None if body is None else json.dumps(body)
            connection.request(verb, f"/{path}", content, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status not in fine:
            raise RestError(f"{verb} {host}/{path} was answered {answer.status}: {text[:300].decode(errors='replace')}")
        return answer.status, json.loads(text or b"{}")
