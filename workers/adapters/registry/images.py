"""`OciImages`: asks a registry which manifest an image reference is.

Protocol: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pulling-manifests. One GET: the digest
is that of the bytes which came, and what the registry says of it in `Docker-Content-Digest` must agree.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from typing import Self

from aiohttp.abc import AbstractResolver
from yarl import URL

from schemas.images import split_reference
from workers.adapters.registry.addresses import loopback_hosts
from workers.adapters.registry.authorization import Authorizations, GoogleToken
from workers.adapters.registry.challenge import read_challenge
from workers.adapters.registry.transport import Answer, Transport, authority
from workers.adapters.secrets import SecretReader, read_secret
from workers.adapters.statuses import failure
from workers.failures import Denied, Invalid, Mismatch, Unavailable
from workers.manifests import LIMIT, MANIFEST_TYPES, Manifest, read_manifest
from workers.ports import ResolvedImage
from workers.registries import SETTING, RegistryAccess

DEFAULT_TAG = "latest"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NAMEABLE = frozenset(
    {
        "application/json",
        "application/octet-stream",
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/xml",
        "text/html",
        "text/plain",
    }
)
"""Content types that an error may name: anything else could be our own credentials, sent back."""
_OK, _UNAUTHORIZED = 200, 401


class OciImages:
    """The port `Images` on the listed registries.

    `registries`: the allow-list; of two entries for one host, the first whose paths match is used.
    `google_token`: returns an access token for entries with `google`.
    `timeout`: seconds for one request; `deadline`: seconds for one `resolve`, all its requests together.
    `resolver`: looks names up; what it finds is checked whichever it is.
    """

    def __init__(
        self,
        registries: Sequence[RegistryAccess],
        *,
        google_token: GoogleToken | None = None,
        secrets: SecretReader = read_secret,
        timeout: float = 10.0,
        deadline: float = 30.0,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._registries = tuple(registries)
        self._deadline = deadline
        hosts = {host for access in registries for host in (access.host, *access.token_hosts)}
        self._transport = Transport(timeout=timeout, local=loopback_hosts(hosts), resolver=resolver)
        self._authorizations = Authorizations(self._transport, read_secret=secrets, google_token=google_token)

    async def resolve(self, reference: str) -> ResolvedImage:
        """Fetch the manifest that HOST/PATH[:TAG][@DIGEST] is; without either, `latest` is meant.

        A tag with a digest is looked up by the tag and must agree. Raises NotFound, Denied, Invalid, Mismatch,
        QuotaExhausted, Unavailable.
        """
        try:
            host, path, tag, digest = split_reference(reference)
        except ValueError as error:
            raise Invalid(str(error)) from None
        if tag is None and digest is None:
            tag = DEFAULT_TAG
        access = self._listed(host, path)
        try:
            async with asyncio.timeout(self._deadline):
                manifest = await self._fetch(access, path, tag or digest or DEFAULT_TAG)
        except TimeoutError:
            raise Unavailable(f"{host} took more than {self._deadline:g} s to say what {path} is") from None
        if digest is not None and digest != manifest.digest:
            raise Mismatch(f"{reference} names {digest}, but {host} says that {tag or 'it'} is {manifest.digest}")
        return ResolvedImage(host, path, tag, manifest)

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _listed(self, host: str, path: str) -> RegistryAccess:
        entries = [access for access in self._registries if access.host == host]
        if not entries:
            raise Denied(f"{host} is not a listed registry: add it to {SETTING} if its images may be asked for")
        for access in entries:
            if access.allows(path):
                return access
        raise Denied(f"{SETTING} lists {host}, but not for {path}: add the path to its `paths` if it may be asked for")

    async def _fetch(self, access: RegistryAccess, path: str, wanted: str) -> Manifest:
        url = URL(f"{access.scheme}://{access.host}/v2/{path}/manifests/{wanted}")
        answer = await self._ask(access, path, url)
        if answer.status != _OK:
            sentence = _refusal(access.host, path, wanted, answer.status)
            raise failure(answer.status, sentence, retry_after=answer.headers.get("retry-after"))
        return _read(access.host, path, answer)

    async def _ask(self, access: RegistryAccess, path: str, url: URL) -> Answer:
        kept = self._authorizations.kept(access, path)
        answer = await self._send(url, kept)
        if answer.status == _UNAUTHORIZED:
            challenge = read_challenge(answer.headers.get("www-authenticate", ""))
            if challenge is None:
                raise Denied(f"{access.host} refuses {path} and offers neither Basic nor Bearer authentication")
            header = await self._authorizations.obtain(access, path, challenge, refused=kept)
            answer = await self._send(url, header)
        if answer.status in _REDIRECTS:
            return await self._follow(access, url, answer)
        return answer

    async def _send(self, url: URL, authorization: str | None) -> Answer:
        headers = {"Accept": ", ".join(MANIFEST_TYPES)}
        if authorization is not None:
            headers["Authorization"] = authorization
        return await self._transport.ask(url, headers=headers, limit=LIMIT)

    async def _follow(self, access: RegistryAccess, url: URL, answer: Answer) -> Answer:
        """Follow one redirect, to a listed host only and without credentials."""
        try:
            target = url.join(URL(answer.headers["location"]))
            host = authority(target)
        except (KeyError, ValueError):
            raise Unavailable(f"{access.host} redirects, but does not say where to: look what answers there") from None
        if not any(other.host == host and other.scheme == target.scheme for other in self._registries):
            raise Denied(
                f"{access.host} redirects to {host} on {target.scheme}, which is not a listed registry: add it to"
                f" {SETTING} if it may be asked"
            )
        followed = await self._send(target.with_user(None).with_fragment(None), None)
        if followed.status == _UNAUTHORIZED:
            raise Denied(f"{access.host} redirects to {host}, which wants credentials: they never follow a redirect")
        if followed.status in _REDIRECTS:
            raise Unavailable(f"{access.host} redirects to {host}, which redirects again: name the last one instead")
        return followed


def _read(host: str, path: str, answer: Answer) -> Manifest:
    if b'"schemaVersion"' not in answer.body:
        raise _no_manifest(host, path, answer)
    digest, announced = f"sha256:{hashlib.sha256(answer.body).hexdigest()}", _digest_header(host, path, answer)
    if announced not in {None, digest}:
        raise Mismatch(f"{host} says that the manifest of {path} is {announced}, but what it sends is {digest}")
    try:
        return read_manifest(answer.body, answer.media_type)
    except Invalid as problem:
        raise Invalid(f"{host}/{path}@{digest} cannot be signed: {problem}") from None


def _digest_header(host: str, path: str, answer: Answer) -> str | None:
    header = answer.headers.get("docker-content-digest")
    if header and not _DIGEST.fullmatch(header):
        raise Invalid(f"{host} gives the manifest of {path} a digest that is not SHA-256 in lower-case hexadecimal")
    return header or None


def _no_manifest(host: str, path: str, answer: Answer) -> Unavailable:
    kind = answer.media_type if answer.media_type in _NAMEABLE else "something else"
    return Unavailable(f"{host} answered for {path} with {kind}, not with a manifest: look what answers there")


def _refusal(host: str, path: str, wanted: str, status: int) -> str:
    match status:
        case 401 | 403:
            return (
                f"{host} does not let us pull {path}: give the credentials listed for it in {SETTING} the permission to"
                " pull (Artifact Registry: roles/artifactregistry.reader)"
            )
        case 404 | 410:
            return f"{host} has no image {_named(path, wanted)}: push it first, or correct the reference"
        case 429:
            return f"{host} has had enough of our requests for now"
    return f"{host} could not say what {_named(path, wanted)} is: it answered {status}"


def _named(path: str, wanted: str) -> str:
    return f"{path}{'@' if _DIGEST.fullmatch(wanted) else ':'}{wanted}"
