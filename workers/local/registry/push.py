"""Pushes an image layout over HTTP with nothing but the standard library, for where skopeo is not installed."""

import base64
import json
import re
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from workers.local.registry.manifests import DOCKER_LIST, OCI_INDEX

_REFERENCE = re.compile(r"(?P<host>[^/]+)/(?P<name>[^:@]+)(?::(?P<tag>[^@]+))?")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_TIMEOUT = 30.0
_OK, _CREATED, _ACCEPTED, _UNAUTHORIZED = 200, 201, 202, 401


class PushError(Exception):
    """The registry refused; the sentence says what and with which status."""


def push(layout: Path, reference: str, *, username: str = "", password: str = "") -> str:
    """Push the image of a layout to HOST:PORT/NAME[:TAG] over plain HTTP and return its digest.

    Blocking: call it with `asyncio.to_thread` from an event loop. Without a tag it is pushed by digest. Raises
    PushError, and OSError where nobody listens.
    """
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise PushError(f"{reference!r} is not HOST:PORT/NAME:TAG")
    root = json.loads((layout / "index.json").read_bytes())["manifests"][0]
    client = _Client(found["host"], found["name"], username, password)
    try:
        _push_manifest(client, layout, root, found["tag"] or root["digest"])
    finally:
        client.close()
    return str(root["digest"])


def _push_manifest(client: "_Client", layout: Path, descriptor: Mapping[str, Any], reference: str) -> None:
    body = _blob(layout, descriptor).read_bytes()
    manifest = json.loads(body)
    if descriptor["mediaType"] in {OCI_INDEX, DOCKER_LIST}:
        for member in manifest["manifests"]:
            _push_manifest(client, layout, member, member["digest"])
    else:
        for blob in (manifest["config"], *manifest["layers"]):
            client.push_blob(blob["digest"], _blob(layout, blob))
    client.push_manifest(reference, body, descriptor["mediaType"])


def _blob(layout: Path, descriptor: Mapping[str, Any]) -> Path:
    algorithm, _, hexadecimal = str(descriptor["digest"]).partition(":")
    return layout.joinpath("blobs", algorithm, hexadecimal)


class _Client:
    """One connection to one repository."""

    def __init__(self, host: str, name: str, username: str, password: str) -> None:
        self._host = host
        self._name = name
        self._basic = base64.b64encode(f"{username}:{password}".encode()).decode() if username else ""
        self._authorization = ""
        self._connection = HTTPConnection(host, timeout=_TIMEOUT)

    def close(self) -> None:
        self._connection.close()

    def push_blob(self, digest: str, path: Path) -> None:
        status, _ = self._ask("HEAD", f"/v2/{self._name}/blobs/{digest}")
        if status == _OK:
            return
        status, headers = self._ask("POST", f"/v2/{self._name}/blobs/uploads/")
        _expect(status, _ACCEPTED, f"begin an upload to {self._host}/{self._name}")
        target = urlsplit(headers["location"])
        query = f"{target.query}&" if target.query else ""
        address = f"{target.path}?{query}{urlencode({'digest': digest})}"
        status, _ = self._ask("PUT", address, path.read_bytes(), {"Content-Type": "application/octet-stream"})
        _expect(status, _CREATED, f"upload {digest} to {self._host}/{self._name}")

    def push_manifest(self, reference: str, body: bytes, media_type: str) -> None:
        path = f"/v2/{self._name}/manifests/{reference}"
        status, _ = self._ask("PUT", path, body, {"Content-Type": media_type})
        _expect(status, _CREATED, f"store the manifest {self._host}/{self._name} {reference}")

    def _ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str]]:
        status, answer, _ = self._send(method, path, body, headers)
        if status == _UNAUTHORIZED and self._basic:
            self._authorize(answer.get("www-authenticate", ""))
            status, answer, _ = self._send(method, path, body, headers)
        return status, answer

    def _authorize(self, challenge: str) -> None:
        if challenge.lower().startswith("basic"):
            self._authorization = f"Basic {self._basic}"
            return
        parameters = dict(_PARAMETER.findall(challenge))
        realm = urlsplit(parameters.get("realm", ""))
        if realm.netloc != self._host:
            raise PushError(f"{self._host} sends us to another host for a token, which gets no password from us")
        scope = f"repository:{self._name}:pull,push"
        query = urlencode({"service": parameters.get("service", ""), "scope": scope})
        self._authorization = ""
        headers = {"Authorization": f"Basic {self._basic}"}
        status, _, body = self._send("GET", f"{realm.path}?{query}", b"", headers)
        _expect(status, _OK, f"get a token from {self._host}")
        self._authorization = f"Bearer {json.loads(body)['token']}"

    def _send(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        sent = dict(headers or {})
        if self._authorization:
            sent["Authorization"] = self._authorization
        self._connection.request(method, path, body=body or None, headers=sent)
        response = self._connection.getresponse()
        answer = response.read()
        return response.status, {key.lower(): value for key, value in response.getheaders()}, answer


def _expect(status: int, wanted: int, doing: str) -> None:
    if status != wanted:
        raise PushError(f"could not {doing}: the registry answered {status}")
