"""Speaks the protocol one request at a time, so that tests can do it wrong as well."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from aiohttp import ClientSession
from multidict import CIMultiDictProxy
from yarl import URL

from workers.local.registry import Image

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(body: bytes) -> str:
    """Return `sha256:…` of the bytes."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@dataclass(frozen=True)
class Reply:
    """What the registry answered."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def code(self) -> str:
        """The first error code."""
        return str(json.loads(self.body)["errors"][0]["code"])

    @property
    def location(self) -> str:
        """Path and query of the Location header."""
        parts = urlsplit(urljoin("http://registry/", self.headers["Location"]))
        return f"{parts.path}?{parts.query}" if parts.query else parts.path


@dataclass(frozen=True)
class Client:
    """One repository of a registry."""

    session: ClientSession
    repository: str

    @property
    def base(self) -> str:
        """Where the repository is."""
        return f"/v2/{self.repository}"

    async def ask(self, method: str, path: str | URL, **options: Any) -> Reply:
        """Send one request."""
        async with self.session.request(method, path, allow_redirects=False, **options) as response:
            return Reply(response.status, response.headers, await response.read())

    async def open_upload(self) -> str:
        """Begin an upload and return its address."""
        reply = await self.ask("POST", f"{self.base}/blobs/uploads/")
        assert reply.status == 202
        return reply.location

    async def put_blob(self, body: bytes) -> str:
        """Push a blob and return its digest."""
        reply = await self.finish(await self.open_upload(), digest_of(body), body)
        assert reply.status == 201
        return digest_of(body)

    async def finish(self, upload: str, digest: str, body: bytes = b"") -> Reply:
        """End an upload with a PUT."""
        mark = "&" if "?" in upload else "?"
        headers = {"Content-Type": "application/octet-stream"}
        return await self.ask("PUT", f"{upload}{mark}digest={digest}", data=body, headers=headers)

    async def put_manifest(self, reference: str, body: bytes, media_type: str = OCI_MANIFEST) -> Reply:
        """Push a manifest."""
        return await self.ask(
            "PUT", f"{self.base}/manifests/{reference}", data=body, headers={"Content-Type": media_type}
        )

    async def put_image(self, image: Image, tag: str | None = None) -> None:
        """Push an image with its members and blobs."""
        for member in image.members:
            await self.put_image(member)
        for body in image.blobs.values():
            await self.put_blob(body)
        reply = await self.put_manifest(tag or image.digest, image.manifest, image.media_type)
        assert reply.status == 201, reply.body
