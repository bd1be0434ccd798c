"""Blobs and their uploads over HTTP ("Pulling blobs", "Pushing blobs" in the specification)."""

import re

from aiohttp import web

from workers.local.registry import names
from workers.local.registry.access import GRANTS, may
from workers.local.registry.errors import RegistryError
from workers.local.registry.faults import Faults
from workers.local.registry.storage import Storage
from workers.local.registry.uploads import Uploads, range_header

_READ_SIZE = 1 << 16
_CONTENT_RANGE = re.compile(r"(?:bytes[ =])?(\d+)-(\d+)(?:/.*)?")


class BlobRoutes:
    """The handlers below `/v2/NAME/blobs/`."""

    def __init__(self, storage: Storage, uploads: Uploads, faults: Faults) -> None:
        self._storage = storage
        self._uploads = uploads
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; those of uploads come first, for a repository may be called so."""
        upload = "/v2/{name:.+}/blobs/uploads/{upload:[^/]+}"
        blob = "/v2/{name:.+}/blobs/{digest:[^/]+}"
        return [
            web.post("/v2/{name:.+}/blobs/uploads/", self.open),
            web.get(upload, self.status, allow_head=False),
            web.patch(upload, self.append),
            web.put(upload, self.finish),
            web.delete(upload, self.cancel),
            web.get(blob, self.get),
            web.delete(blob, self.delete),
        ]

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Send a blob, or the part of it that a Range header asks for; HEAD sends its size alone."""
        name = names.repository(request.match_info["name"])
        digest = names.digest(request.match_info["digest"])
        if self._faults.redirect_blobs and request.method == "GET":
            raise web.HTTPTemporaryRedirect(f"{self._faults.redirect_blobs}{request.path_qs}")
        path = self._storage.blob(name, digest)
        if path is None:
            raise RegistryError("BLOB_UNKNOWN", f"{name} has no blob {digest}")
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        return web.FileResponse(path, headers=headers)

    async def delete(self, request: web.Request) -> web.Response:
        """Take a blob from the repository."""
        name = names.repository(request.match_info["name"])
        digest = names.digest(request.match_info["digest"])
        if not self._storage.unlink_blob(name, digest):
            raise RegistryError("BLOB_UNKNOWN", f"{name} has no blob {digest}")
        return web.Response(status=202)

    async def open(self, request: web.Request) -> web.Response:
        """Begin an upload; finish it at once if a digest is given, or mount the blob from another repository."""
        name = names.repository(request.match_info["name"])
        if self._mounted(request, name):
            return _created(name, request.query["mount"])
        upload = self._uploads.open(name)
        if "digest" in request.query:
            return await self._finish(request, name, upload)
        return self._accepted(name, upload, 0, status=202)

    async def status(self, request: web.Request) -> web.Response:
        """Say how far an upload is."""
        name, upload = self._session(request)
        return self._accepted(name, upload, self._uploads.offset(name, upload), status=204)

    async def append(self, request: web.Request) -> web.Response:
        """Take one chunk."""
        name, upload = self._session(request)
        return self._accepted(name, upload, await self._take(request, name, upload), status=202)

    async def finish(self, request: web.Request) -> web.Response:
        """Take the last chunk, if any, verify the digest and store the blob."""
        return await self._finish(request, *self._session(request))

    async def cancel(self, request: web.Request) -> web.Response:
        """Throw an upload away."""
        self._uploads.cancel(*self._session(request))
        return web.Response(status=204)

    def _session(self, request: web.Request) -> tuple[str, str]:
        return names.repository(request.match_info["name"]), request.match_info["upload"]

    def _mounted(self, request: web.Request, name: str) -> bool:
        if "mount" not in request.query or "from" not in request.query:
            return False
        source = names.repository(request.query["from"])
        digest = names.digest(request.query["mount"])
        # A caller who may not read the source learns nothing about it: he gets an upload, as for a missing blob.
        return may(request[GRANTS], source, "pull") and self._storage.mount_blob(name, digest, source)

    async def _finish(self, request: web.Request, name: str, upload: str) -> web.Response:
        digest = names.digest(request.query.get("digest", ""))
        await self._take(request, name, upload)
        await self._uploads.finish(name, upload, digest)
        return _created(name, digest)

    async def _take(self, request: web.Request, name: str, upload: str) -> int:
        start, length = _content_range(request)
        chunks = request.content.iter_chunked(_READ_SIZE)
        return await self._uploads.append(name, upload, chunks, start=start, length=length)

    def _accepted(self, name: str, upload: str, offset: int, *, status: int) -> web.Response:
        headers = {
            "Location": f"/v2/{name}/blobs/uploads/{upload}",
            "Range": range_header(offset),
            "Docker-Upload-UUID": upload,
        }
        return web.Response(status=status, headers=headers)


def _content_range(request: web.Request) -> tuple[int | None, int | None]:
    header = request.headers.get("Content-Range")
    if header is None:
        return None, None
    found = _CONTENT_RANGE.fullmatch(header.strip())
    if found is None:
        raise RegistryError("BLOB_UPLOAD_INVALID", "Content-Range is START-END, both inclusive", status=416)
    start, end = int(found[1]), int(found[2])
    length = end - start + 1
    if length < 1 or request.content_length not in {None, length}:
        raise RegistryError("SIZE_INVALID", "Content-Range and Content-Length disagree")
    return start, length


def _created(name: str, digest: str) -> web.Response:
    headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
    return web.Response(status=201, headers=headers)
