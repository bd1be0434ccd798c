"""Manifests, tags and referrers over HTTP ("Pulling manifests", "Pushing manifests", "Content Discovery")."""

import json
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from aiohttp import web

from workers.local.registry import names
from workers.local.registry.errors import RegistryError
from workers.local.registry.faults import Faults
from workers.local.registry.manifests import OCI_INDEX, Manifest
from workers.local.registry.storage import Storage, StoredManifest

Announce = Callable[[Mapping[str, str]], None]
"""Hears of each change: `action` INSERT or DELETE, `digest` (NAME@DIGEST), `tag` (NAME:TAG), each if it applies."""


class ContentRoutes:
    """The handlers below `/v2/NAME/manifests/`, `/tags/` and `/referrers/`. `limit`: bytes of a manifest."""

    def __init__(self, storage: Storage, faults: Faults, *, limit: int, announce: Announce | None = None) -> None:
        self._storage = storage
        self._faults = faults
        self._limit = limit
        self._announce = announce or (lambda _: None)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        manifest = "/v2/{name:.+}/manifests/{reference:[^/]+}"
        return [
            web.get(manifest, self.get),
            web.put(manifest, self.put),
            web.delete(manifest, self.delete),
            web.get("/v2/{name:.+}/tags/list", self.tags),
            web.get("/v2/{name:.+}/referrers/{digest:[^/]+}", self.referrers),
        ]

    async def get(self, request: web.Request) -> web.Response:
        """Send a manifest as it was pushed. What a client says it accepts is not held against it."""
        name, reference = _named(request)
        if self._faults.redirect_manifests:
            raise web.HTTPTemporaryRedirect(f"{self._faults.redirect_manifests}{request.path_qs}")
        manifest = self._find(name, reference)
        headers = {"Content-Type": manifest.media_type, "ETag": f'"{manifest.digest}"'}
        forged = self._faults.digest_header
        if forged != "":
            headers["Docker-Content-Digest"] = forged or manifest.digest
        return web.Response(body=manifest.body, headers=headers)

    async def put(self, request: web.Request) -> web.Response:
        """Store a manifest whose parts are all there; the tag, if it is pushed by tag, moves last."""
        name, reference = _named(request)
        manifest = Manifest.parse(await self._body(request), request.content_type)
        if names.is_digest(reference) and reference != manifest.digest:
            raise RegistryError("DIGEST_INVALID", f"the manifest has the digest {manifest.digest}, not {reference}")
        self._require_parts(name, manifest)
        subject = manifest.subject
        self._storage.put_manifest(name, StoredManifest(manifest.digest, manifest.media_type, manifest.body))
        headers = {"Location": f"/v2/{name}/manifests/{manifest.digest}", "Docker-Content-Digest": manifest.digest}
        if subject is not None:
            self._storage.put_referrer(name, subject, manifest.describe())
            headers["OCI-Subject"] = subject
        if not names.is_digest(reference):
            self._storage.put_tag(name, reference, manifest.digest)
        self._announce({"action": "INSERT", "digest": f"{name}@{manifest.digest}"} | _tagged(request))
        return web.Response(status=201, headers=headers)

    async def delete(self, request: web.Request) -> web.Response:
        """Remove a tag, or by digest a manifest with its tags and its place among the referrers."""
        name, reference = _named(request)
        manifest = self._find(name, reference)
        if not names.is_digest(reference):
            self._storage.delete_tag(name, reference)
            self._announce({"action": "DELETE"} | _tagged(request))
            return web.Response(status=202)
        subject = Manifest.parse(manifest.body, manifest.media_type).subject
        if subject is not None:
            self._storage.delete_referrer(name, subject, manifest.digest)
        self._storage.delete_manifest(name, manifest.digest)
        self._announce({"action": "DELETE", "digest": f"{name}@{manifest.digest}"})
        return web.Response(status=202)

    async def tags(self, request: web.Request) -> web.Response:
        """List the tags in lexical order, `n` at a time after `last`, with a Link to what follows."""
        name = names.repository(request.match_info["name"])
        if not self._storage.has_repository(name):
            raise RegistryError("NAME_UNKNOWN", f"there is no repository {name}")
        found = sorted(self._storage.tags(name), key=_lexical)
        if last := request.query.get("last"):
            found = [tag for tag in found if _lexical(tag) > _lexical(last)]
        page = found[: _page_size(request)]
        headers = {}
        if page and len(page) < len(found):
            query = urlencode({"n": len(page), "last": page[-1]})
            headers["Link"] = f'</v2/{name}/tags/list?{query}>; rel="next"'
        return web.json_response({"name": name, "tags": page}, headers=headers)

    async def referrers(self, request: web.Request) -> web.Response:
        """List what names a manifest as its subject; an image that nobody names has an empty list."""
        name = names.repository(request.match_info["name"])
        found = self._storage.referrers(name, names.digest(request.match_info["digest"]))
        headers = {"Content-Type": OCI_INDEX}
        if wanted := request.query.get("artifactType"):
            found = [descriptor for descriptor in found if descriptor.get("artifactType") == wanted]
            headers["OCI-Filters-Applied"] = "artifactType"
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}
        return web.Response(body=json.dumps(index).encode(), headers=headers)

    def _find(self, name: str, reference: str) -> StoredManifest:
        digest = reference if names.is_digest(reference) else self._storage.digest_of_tag(name, reference)
        manifest = self._storage.manifest(name, digest) if digest else None
        if manifest is None:
            raise RegistryError("MANIFEST_UNKNOWN", f"{name} has no manifest {reference}")
        return manifest

    async def _body(self, request: web.Request) -> bytes:
        body = bytearray()
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > self._limit:
                raise RegistryError("SIZE_INVALID", f"a manifest has {self._limit} bytes at most", status=413)
        return bytes(body)

    def _require_parts(self, name: str, manifest: Manifest) -> None:
        for blob in manifest.blobs():
            path = self._storage.blob(name, blob.digest)
            if path is None:
                raise RegistryError("MANIFEST_BLOB_UNKNOWN", f"{name} has no blob {blob.digest}")
            if path.stat().st_size != blob.size:
                raise RegistryError("SIZE_INVALID", f"blob {blob.digest} does not have {blob.size} bytes")
        for child in manifest.children():
            if self._storage.manifest(name, child.digest) is None:
                raise RegistryError("MANIFEST_BLOB_UNKNOWN", f"{name} has no manifest {child.digest}")


def _named(request: web.Request) -> tuple[str, str]:
    return names.repository(request.match_info["name"]), names.reference(request.match_info["reference"])


def _tagged(request: web.Request) -> dict[str, str]:
    """Return NAME:TAG, if it is by tag that something is asked."""
    name, reference = _named(request)
    return {} if names.is_digest(reference) else {"tag": f"{name}:{reference}"}


def _lexical(tag: str) -> tuple[str, str]:
    return tag.lower(), tag


def _page_size(request: web.Request) -> int | None:
    text = request.query.get("n")
    if text is None:
        return None
    if not text.isdecimal():
        raise RegistryError("UNSUPPORTED", "n is a number of tags", status=400)
    return int(text)
