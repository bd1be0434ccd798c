"""Trees, blobs, and the contents of files, which can be changed here as well: each change is a commit.

Sources: https://docs.github.com/en/rest/git/trees, /git/blobs, /repos/contents (2022-11-28). Left out: submodules and
links are shown as files, and the content of files above 1 MB is shown in the raw media type alone.
"""

import base64
import binascii
import stat
import time
from typing import Any

from aiohttp import web
from dulwich.errors import NotTreeError
from dulwich.object_store import commit_tree_changes
from dulwich.objects import Blob, Commit, ObjectID, Tree, valid_hexsha
from dulwich.refs import Ref
from dulwich.repo import Repo

from workers.local.github.access import CALLER
from workers.local.github.documents import Documents
from workers.local.github.errors import GithubError, not_found
from workers.local.github.history import ZERO, Entry, entries, find_commit, find_tree, ref_named, text
from workers.local.github.records import Repository
from workers.local.github.repositories import Repositories
from workers.local.github.rest.bodies import json_object
from workers.local.github.rest.repositories import PLACES, RepositoryRoutes
from workers.local.github.smart_http import Pushed, Update

MOST_ENTRIES = 100_000
MOST_BYTES = 7 << 20
"""Of a tree that is shown with its folders."""
_INLINE = 1 << 20
_FILE = stat.S_IFREG | 0o644


class ContentRoutes:
    """The handlers below `/repos/OWNER/NAME/git/trees`, `/git/blobs` and `/contents`."""

    def __init__(
        self, routes: RepositoryRoutes, repositories: Repositories, documents: Documents, pushed: Pushed
    ) -> None:
        self._of = routes
        self._repositories = repositories
        self._documents = documents
        self._pushed = pushed

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        found = []
        for place, form in PLACES.items():
            contents = f"{place}/contents/{{path:.*}}"
            found += [
                web.get(f"{place}/git/trees/{{tree:.+}}", self.tree, name=f"tree{form}"),
                web.get(f"{place}/git/blobs/{{sha}}", self.blob, name=f"blob{form}"),
                web.get(contents, self.contents, name=f"contents{form}"),
                web.put(contents, self.put),
                web.delete(contents, self.delete),
                web.get(f"{place}/contents", self.contents, name=f"contents.top{form}"),
            ]
        return found

    async def tree(self, request: web.Request) -> web.Response:
        """Show a tree, with all below it where `recursive` is given, whatever it says."""
        repository, name = self._of.allowed(request, "contents"), request.match_info["tree"]
        recursive = "recursive" in request.query

        def find(repo: Repo) -> dict[str, Any]:
            if not repo.get_refs():
                raise GithubError(409, "Git Repository is empty.")
            tree = find_tree(repo, name)
            if tree is None:
                raise not_found()
            shown, truncated = self._entries(repo, repository, tree, recursive=recursive)
            place = f"{self._documents.at(repository)}/git/trees/{text(tree.id)}"
            return {"sha": text(tree.id), "url": place, "tree": shown, "truncated": truncated}

        return web.json_response(await self._of.read(repository, find))

    async def blob(self, request: web.Request) -> web.Response:
        """Show the content of a file by its SHA-1."""
        repository, sha = self._of.allowed(request, "contents"), request.match_info["sha"].encode()

        def find(repo: Repo) -> bytes:
            return _blob(repo, ObjectID(sha)).data

        data = await self._of.read(repository, find)
        body = {"sha": text(sha), "size": len(data), "encoding": "base64", "content": _base64(data)}
        return web.json_response(body | {"url": f"{self._documents.at(repository)}/git/blobs/{text(sha)}"})

    async def contents(self, request: web.Request) -> web.Response:
        """Show a file, or list a folder, as it is at `ref`; the default branch where none is given."""
        repository = self._of.allowed(request, "contents")
        path = request.match_info.get("path", "").strip("/")
        ref = request.query.get("ref") or repository.default_branch

        def find(repo: Repo) -> tuple[Any, bytes]:
            commit = find_commit(repo, ref)
            if commit is None:
                raise GithubError(404, f"No commit found for the ref {ref}")
            mode, sha = _lookup(repo, commit, path)
            found = repo.object_store[sha]
            if isinstance(found, Tree):
                children = entries(repo, found, recursive=False, below=f"{path}/" if path else "")
                return [self._content(repository, ref, child, None, repo) for child in children], b""
            entry, data = Entry(path, mode, sha), _blob(repo, sha).data
            return self._content(repository, ref, entry, data, repo), data

        shown, data = await self._of.read(repository, find)
        if "raw" in request.headers.get("Accept", "") and isinstance(shown, dict):
            return web.Response(body=data, content_type="application/vnd.github.raw+json")
        return web.json_response(shown)

    async def put(self, request: web.Request) -> web.Response:
        """Commit one file; `sha` is that of the file which it takes the place of."""
        asked = await json_object(request)
        try:
            data = base64.b64decode(str(asked["content"]), validate=False)
        except (KeyError, binascii.Error) as error:
            raise GithubError(422, "content is not valid Base64") from error
        return await self._change(request, asked, data)

    async def delete(self, request: web.Request) -> web.Response:
        """Commit the removal of one file, whose `sha` must be given."""
        asked = await json_object(request) or dict(request.query)
        if not asked.get("sha"):
            raise GithubError(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
        return await self._change(request, asked, None)

    async def _change(self, request: web.Request, asked: dict[str, Any], data: bytes | None) -> web.Response:
        repository, path = self._of.allowed(request, "contents", "write"), request.match_info["path"]
        if any(part in {"", ".", "..", ".git"} for part in path.split("/")):
            raise GithubError(422, "path contains a malformed path component")
        if not isinstance(asked.get("message"), str):
            raise GithubError(422, 'Invalid request.\n\n"message" wasn\'t supplied.')
        branch = str(asked.get("branch") or repository.default_branch)
        author = request[CALLER].user
        name = author.login if author else "sealane[bot]"
        who = f"{name} <{name}@users.noreply.github.com>".encode()

        def work(repo: Repo) -> tuple[Update, Commit, ObjectID | None, bool]:
            return _commit(repo, f"refs/heads/{branch}", path, data, (asked, who))

        async with self._repositories.lock(repository):
            update, commit, sha, created = await self._of.read(repository, work)
            await self._pushed(repository, [update], request[CALLER])
        content = None if sha is None else {"name": path.split("/")[-1], "path": path, "sha": text(sha)}
        body = {"content": content, "commit": self._documents.commit(repository, commit)}
        return web.json_response(body, status=201 if created else 200)

    def _entries(
        self, repo: Repo, repository: Repository, tree: Tree, *, recursive: bool
    ) -> tuple[list[dict[str, Any]], bool]:
        shown: list[dict[str, Any]] = []
        size, place = 0, f"{self._documents.at(repository)}/git"
        for entry in entries(repo, tree, recursive=recursive):
            sha = text(entry.sha)
            size += len(entry.path) + len(place) + 160
            if len(shown) == MOST_ENTRIES or size > MOST_BYTES:
                return shown, True
            item: dict[str, Any] = {"path": entry.path, "mode": f"{entry.mode:06o}", "type": entry.type, "sha": sha}
            if entry.type == "blob":
                item["size"] = repo.object_store[entry.sha].raw_length()
            shown.append(item | {"url": f"{place}/{entry.type}s/{sha}"})
        return shown, False

    def _content(
        self, repository: Repository, ref: str, entry: Entry, data: bytes | None, repo: Repo
    ) -> dict[str, Any]:
        kind = {"tree": "dir", "commit": "submodule"}.get(entry.type, "file")
        url = f"{self._documents.at(repository)}/contents/{entry.path}?ref={ref}"
        size = repo.object_store[entry.sha].raw_length() if kind == "file" else 0
        shown: dict[str, Any] = {"name": entry.path.split("/")[-1], "path": entry.path, "sha": text(entry.sha)}
        shown |= {"size": size, "type": kind, "url": url}
        if data is not None:
            inline = len(data) <= _INLINE
            shown |= {"content": _base64(data) if inline else "", "encoding": "base64" if inline else "none"}
        return shown


def _lookup(repo: Repo, commit: Commit, path: str) -> tuple[int, ObjectID]:
    if not path:
        return stat.S_IFDIR, commit.tree
    root = repo.object_store[commit.tree]
    try:
        if not isinstance(root, Tree):
            raise not_found()
        return root.lookup_path(repo.object_store.__getitem__, path.encode())
    except (KeyError, ValueError, NotTreeError) as error:
        raise not_found() from error


def _commit(
    repo: Repo, ref: str, path: str, data: bytes | None, asked: tuple[dict[str, Any], bytes]
) -> tuple[Update, Commit, ObjectID | None, bool]:
    """Commit one file onto a branch; the lock of the repository is held. Raises 404, 409 and 422."""
    wanted, who = asked
    head = find_commit(repo, ref)
    if head is None and (repo.get_refs() or data is None):
        raise GithubError(404, f"Branch {ref.removeprefix('refs/heads/')} not found")
    there = _there(repo, head, path)
    if there is not None and not wanted.get("sha"):
        raise GithubError(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if wanted.get("sha") and (there is None or text(there) != wanted["sha"]):
        raise GithubError(409, f"{path} does not match {wanted['sha']}")
    blob = None if data is None else Blob.from_string(data)
    if blob is not None:
        repo.object_store.add_object(blob)
    root = Tree() if head is None else repo.object_store[head.tree]
    if not isinstance(root, Tree):
        raise not_found()
    change = (path.encode(), None if blob is None else _FILE, None if blob is None else blob.id)
    commit = _made(commit_tree_changes(repo.object_store, root, [change]), head, str(wanted["message"]), who)
    repo.object_store.add_object(commit)
    before = ref_named(repo, ref)
    repo.refs[Ref(ref.encode())] = commit.id
    update = Update(ref, ZERO if before is None else text(before), text(commit.id))
    return update, commit, None if blob is None else blob.id, there is None


def _there(repo: Repo, head: Commit | None, path: str) -> ObjectID | None:
    try:
        return None if head is None else _lookup(repo, head, path)[1]
    except GithubError:
        return None


def _made(tree: ObjectID, parent: Commit | None, message: str, who: bytes) -> Commit:
    commit = Commit()
    commit.tree = tree
    commit.parents = [] if parent is None else [parent.id]
    commit.author = commit.committer = who
    commit.author_time = commit.commit_time = int(time.time())
    commit.author_timezone = commit.commit_timezone = 0
    commit.encoding = b"UTF-8"
    commit.message = message.encode()
    return commit


def _blob(repo: Repo, sha: ObjectID) -> Blob:
    found = repo.object_store[sha] if valid_hexsha(sha) and sha in repo.object_store else None
    if not isinstance(found, Blob):
        raise not_found()
    return found


def _base64(data: bytes) -> str:
    """Return base64 as GitHub wraps it: lines of 60 characters."""
    encoded = base64.b64encode(data).decode()
    return "".join(f"{encoded[start : start + 60]}\n" for start in range(0, len(encoded), 60))
