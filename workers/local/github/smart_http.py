"""git over HTTP: `git clone`, `git fetch` and `git push` with a token as the password.

The protocol is git's smart one, version 0, served by dulwich (https://git-scm.com/docs/http-protocol); user names do
not matter, the password is an installation token or a personal one
(https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation#about-authentication-as-a-github-app-installation).
Refused as on GitHub: deleting the default branch, refs outside of refs/heads and refs/tags, a ref that has moved
meanwhile. Left out: branch protection, Git LFS, SSH, the limit of 100 MB for a file.
"""

import asyncio
import base64
import binascii
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from typing import IO, Any, NamedTuple

from aiohttp import web
from dulwich.errors import GitProtocolError, HookError
from dulwich.hooks import Hook
from dulwich.object_store import MissingObjectFinder
from dulwich.objects import Commit, ObjectID
from dulwich.protocol import ReceivableProtocol
from dulwich.refs import Ref
from dulwich.repo import Repo
from dulwich.server import BackendRepo, DictBackend, ReceivePackHandler, UploadPackHandler

from workers.local.github.access import visible
from workers.local.github.credentials import Caller, Credentials
from workers.local.github.directory import Directory
from workers.local.github.errors import GithubError
from workers.local.github.history import ZERO, ref_named, text
from workers.local.github.records import Repository
from workers.local.github.repositories import Repositories

LARGEST_PUSH = 2 << 30
"""Bytes."""
_IN_MEMORY = 4 << 20
_HANDLERS: dict[str, Any] = {"git-upload-pack": UploadPackHandler, "git-receive-pack": ReceivePackHandler}
_NO_CACHE = {"Cache-Control": "no-cache, max-age=0, must-revalidate", "Pragma": "no-cache"}


class Update(NamedTuple):
    """A ref that was moved. `before` and `after` are 40 zeroes where it was created or deleted."""

    ref: str
    before: str
    after: str


Pushed = Callable[[Repository, Sequence[Update], Caller], Awaitable[None]]
"""Told of each push, while nobody else moves a ref of the repository."""


class SmartHttp:
    """The handlers below `/OWNER/NAME.git/`."""

    def __init__(
        self, repositories: Repositories, directory: Directory, credentials: Credentials, pushed: Pushed
    ) -> None:
        self._repositories = repositories
        self._directory = directory
        self._credentials = credentials
        self._pushed = pushed

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; all are of the kind git."""
        place = r"/{owner}/{name:[^/]+?}{dot:(?:\.git)?}"
        return [
            web.get(f"{place}/info/refs", self.advertise, name="git.refs", allow_head=False),
            web.post(f"{place}/{{service:git-upload-pack|git-receive-pack}}", self.serve, name="git.service"),
        ]

    async def advertise(self, request: web.Request) -> web.Response:
        """Answer what refs there are."""
        service = request.query.get("service", "")
        repository, _ = self._allow(request, service)
        answer = await asyncio.to_thread(self._advertise, repository, service)
        kind = f"application/x-{service}-advertisement"
        return web.Response(body=answer, headers=_NO_CACHE | {"Content-Type": kind})

    async def serve(self, request: web.Request) -> web.Response:
        """Take a push, or send what is fetched."""
        service = request.match_info["service"]
        repository, caller = self._allow(request, service)
        if request.content_type != f"application/x-{service}-request":
            raise web.HTTPUnsupportedMediaType
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as body:
            await _receive(request, body)
            if service == "git-upload-pack":
                answer = await asyncio.to_thread(self._upload, repository, body)
            else:
                answer = await self._push(repository, caller, body)
        return web.Response(body=answer, headers=_NO_CACHE | {"Content-Type": f"application/x-{service}-result"})

    async def _push(self, repository: Repository, caller: Caller, body: IO[bytes]) -> bytes:
        async with self._repositories.lock(repository):
            answer, updates = await asyncio.to_thread(self._receive, repository, body)
            if updates:
                await self._pushed(repository, updates, caller)
        return answer

    def _allow(self, request: web.Request, service: str) -> tuple[Repository, Caller]:
        """Return what is asked for and who asks, as GitHub tells git. Raises HTTPException."""
        if service not in _HANDLERS:
            raise web.HTTPForbidden(text="Please upgrade your git client.")
        caller = _caller(self._credentials, request.headers.get("Authorization", ""))
        named = request.match_info["owner"], request.match_info["name"]
        repository = self._directory.repository(*named) or self._directory.renamed(*named)
        if repository is None or not visible(caller, repository, self._directory):
            raise web.HTTPNotFound(text="Repository not found.") if caller.known else _challenge()
        if service == "git-upload-pack":
            if repository.private and not caller.grants("contents", "read"):
                raise web.HTTPForbidden(text=f"Read access to {repository.full_name} not granted.")
        elif not caller.known:
            raise _challenge()
        elif not caller.grants("contents", "write"):
            raise web.HTTPForbidden(text=f"Write access to {repository.full_name} not granted.")
        return repository, caller

    def _advertise(self, repository: Repository, service: str) -> bytes:
        with self._repositories.open(repository) as repo:
            handler, written = _handler(repo, service, lambda _: b"", advertise=True)
            handler.proto.write_pkt_line(f"# service={service}\n".encode())
            handler.proto.write_pkt_line(None)
            handler.handle()
        return bytes(written)

    def _upload(self, repository: Repository, body: IO[bytes]) -> bytes:
        with self._repositories.open(repository) as repo:
            handler, written = _handler(repo, "git-upload-pack", body.read)
            _handle(handler)
        return bytes(written)

    def _receive(self, repository: Repository, body: IO[bytes]) -> tuple[bytes, list[Update]]:
        updates: list[Update] = []
        with self._repositories.open(repository) as repo:
            repo.hooks = {
                "update": _Check(repo, repository.default_branch),
                "post-receive": _Note(updates),
            }
            handler, written = _handler(repo, "git-receive-pack", body.read)
            _handle(handler)
        return bytes(written), updates


class _Check(Hook):
    """Refuses what GitHub refuses, before a ref is moved."""

    def __init__(self, repo: Repo, default_branch: str) -> None:
        self._repo = repo
        self._default = f"refs/heads/{default_branch}"

    def execute(self, *args: Any) -> tuple[bytes, bytes]:
        """Look at one ref. Raises HookError with git's word for what is wrong."""
        ref, before, after = (text(part) for part in args)
        now = ref_named(self._repo, ref)
        if not ref.startswith(("refs/heads/", "refs/tags/")):
            raise HookError("deny updating a hidden ref")
        if before != (ZERO if now is None else text(now)):
            raise HookError("failed to update ref")
        if after == ZERO and ref == self._default:
            raise HookError(f"refusing to delete the current branch: {ref}")
        if after != ZERO and not _complete(self._repo, ObjectID(after.encode()), branch=ref.startswith("refs/heads/")):
            raise HookError("missing necessary objects")
        return b"", b""


class _Note(Hook):
    """Notes which refs were moved."""

    def __init__(self, updates: list[Update]) -> None:
        self._updates = updates

    def execute(self, *args: Any) -> bytes:
        """Take the refs of one push."""
        commands: Sequence[tuple[ObjectID, ObjectID, Ref]] = args[0]
        self._updates.extend(Update(text(ref), text(before), text(after)) for before, after, ref in commands)
        return b""


def _complete(repo: Repo, sha: ObjectID, *, branch: bool) -> bool:
    """Whether an object is there with its history and its trees; a branch must point at a commit."""
    store = repo.object_store
    if sha not in store or (branch and not isinstance(store[sha], Commit)):
        return False
    try:
        fresh = MissingObjectFinder(store, list(repo.get_refs().values()), [sha])
        return all(missing in store for missing, _ in fresh)
    except KeyError:
        return False


def _handler(
    repo: Repo, service: str, read: Callable[[int], bytes], *, advertise: bool = False
) -> tuple[Any, bytearray]:
    written = bytearray()

    def write(data: bytes) -> int:
        written.extend(data)
        return len(data)

    served: dict[str, BackendRepo] = {"/": repo}
    handler = _HANDLERS[service](
        DictBackend(served),
        ["/"],
        ReceivableProtocol(read, write),
        stateless_rpc=True,
        advertise_refs=advertise,
    )
    return handler, written


def _handle(handler: Any) -> None:
    try:
        handler.handle()
    except (GitProtocolError, AssertionError, ValueError, KeyError, EOFError) as error:
        raise GithubError(400, "The request is not in git's protocol") from error


async def _receive(request: web.Request, body: IO[bytes]) -> None:
    async for chunk in request.content.iter_chunked(1 << 16):
        if body.tell() + len(chunk) > LARGEST_PUSH:
            raise web.HTTPRequestEntityTooLarge(LARGEST_PUSH, body.tell() + len(chunk))
        body.write(chunk)
    body.seek(0)


def _challenge() -> web.HTTPUnauthorized:
    return web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="GitHub"'})


def _caller(credentials: Credentials, authorization: str) -> Caller:
    """Return who shows a token as the password of basic authentication; nobody shows nothing."""
    scheme, _, encoded = authorization.partition(" ")
    if not authorization:
        return Caller()
    try:
        _, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        if scheme.lower() != "basic":
            raise _challenge()
        return credentials.identify("basic", password)
    except (GithubError, binascii.Error, UnicodeDecodeError) as error:
        raise _challenge() from error
