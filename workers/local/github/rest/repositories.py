"""Repositories, their refs, branches, commits, and how two commits compare.

Sources: https://docs.github.com/en/rest/repos/repos, /branches/branches, /git/refs, /commits/commits (2022-11-28).
"""

import asyncio
import re
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web
from dulwich.objects import Commit
from dulwich.repo import Repo

from workers.local.github import paging
from workers.local.github.access import CALLER, allow
from workers.local.github.directory import Directory
from workers.local.github.documents import Documents, node_id
from workers.local.github.errors import GithubError, not_found
from workers.local.github.history import (
    Change,
    between,
    changes,
    find_commit,
    merge_base,
    patch_of,
    reachable,
    ref_named,
    text,
    tree_of,
)
from workers.local.github.records import Repository
from workers.local.github.repositories import Repositories
from workers.local.github.rest.bodies import json_object, number

T = TypeVar("T")
MOST_FILES = 300
"""Of a comparison, and of a commit."""
MOST_COMMITS = 250
"""Of a comparison that is not asked for by pages."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


class RepositoryRoutes:
    """The handlers below `/repos/OWNER/NAME`, and `/repositories/ID`."""

    def __init__(self, directory: Directory, repositories: Repositories, documents: Documents) -> None:
        self._directory = directory
        self._repositories = repositories
        self._documents = documents

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; what is left of an address after a ref or a range may hold slashes."""
        place = "/repos/{owner}/{name}"
        return [
            web.get("/repositories/{id}", self.by_id, name="repository"),
            web.get(place, self.by_name, name="repository.named"),
            web.post("/orgs/{owner}/repos", self.create, name="creation"),
            web.get(f"{place}/branches/{{branch:.+}}", self.branch, name="branch"),
            web.get(f"{place}/git/ref/{{ref:.+}}", self.ref, name="ref"),
            web.get(f"{place}/commits/{{ref:.+}}", self.commit, name="commit"),
            web.get(f"{place}/compare/{{range:.+}}", self.compare, name="compare"),
        ]

    async def by_id(self, request: web.Request) -> web.Response:
        """Show a repository by its id."""
        repository = self._directory.repository_by_id(number(request.match_info["id"]))
        return web.json_response(self._documents.repository(self._allowed(request, repository, "metadata")))

    async def by_name(self, request: web.Request) -> web.Response:
        """Show a repository by its name."""
        return web.json_response(self._documents.repository(self.allowed(request, "metadata")))

    async def create(self, request: web.Request) -> web.Response:
        """Make an empty repository in an organization; a person may."""
        owner, asked = self._directory.account(request.match_info["owner"]), await json_object(request)
        if request[CALLER].user is None or owner is None:
            raise not_found()
        name, private = asked.get("name"), asked.get("private", False)
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in {".", ".."} or name.endswith(".git"):
            raise GithubError(422, "Repository creation failed.")
        try:
            repository = self._directory.add_repository(owner, name, private=private is True, branch="main")
        except sqlite3.IntegrityError as error:
            raise GithubError(422, "Repository creation failed.") from error
        await asyncio.to_thread(self._repositories.create, repository)
        return web.json_response(self._documents.repository(repository), status=201)

    async def branch(self, request: web.Request) -> web.Response:
        """Show a branch with its head."""
        repository, name = self.allowed(request, "contents"), request.match_info["branch"]

        def find(repo: Repo) -> dict[str, Any]:
            commit = find_commit(repo, f"refs/heads/{name}")
            if commit is None:
                raise GithubError(404, "Branch not found")
            return self._documents.commit(repository, commit)

        head = await self.read(repository, find)
        protection = {"protected": False, "protection": {"enabled": False}}
        return web.json_response({"name": name, "commit": head, **protection})

    async def ref(self, request: web.Request) -> web.Response:
        """Show what a ref points at: a commit, or an annotated tag."""
        repository, name = self.allowed(request, "contents"), f"refs/{request.match_info['ref']}"

        def find(repo: Repo) -> dict[str, Any]:
            sha = ref_named(repo, name)
            if sha is None:
                raise not_found()
            kind = text(repo.object_store[sha].type_name)
            place = f"{self._documents.at(repository)}/git"
            target = {"type": kind, "sha": text(sha), "url": f"{place}/{kind}s/{text(sha)}"}
            named = {"ref": name, "node_id": node_id("Ref", repository.id, name)}
            return {**named, "url": f"{place}/{name}", "object": target}

        return web.json_response(await self.read(repository, find))

    async def commit(self, request: web.Request) -> web.Response:
        """Show a commit with the files that differ from its first parent, page by page."""
        repository, name = self.allowed(request, "contents"), request.match_info["ref"]

        def find(repo: Repo) -> tuple[dict[str, Any], list[dict[str, Any]]]:
            _require_content(repo)
            commit = find_commit(repo, name)
            if commit is None:
                raise GithubError(422, f"No commit found for SHA: {name}")
            parent = tree_of(repo, commit.parents[0]) if commit.parents else None
            files = changes(repo, parent, commit.tree, renames=True)
            return self._documents.commit(repository, commit), [self._file(repo, repository, one) for one in files]

        shown, files = await self.read(repository, find)
        page, headers = paging.cut(request, files, min(paging.per_page(request, MOST_FILES) * 3, MOST_FILES))
        stats = {name: sum(file[name] for file in files) for name in ("additions", "deletions")}
        stats["total"] = stats["additions"] + stats["deletions"]
        return web.json_response(shown | {"stats": stats, "files": list(page)}, headers=headers)

    async def compare(self, request: web.Request) -> web.Response:
        """Show how a head differs from a base (`base...head`: from where they parted)."""
        repository = self.allowed(request, "contents")
        base, dots, head = request.match_info["range"].partition("...")
        if not dots or not base or not head:
            raise not_found()

        def find(repo: Repo) -> tuple[dict[str, Any], list[Commit], list[dict[str, Any]]]:
            first, last = find_commit(repo, base), find_commit(repo, head)
            if first is None or last is None:
                raise not_found()
            return self._compare(repo, repository, first, last)

        body, commits, files = await self.read(repository, find)
        paged = "page" in request.query or "per_page" in request.query
        size = paging.per_page(request) if paged else MOST_COMMITS
        page, headers = paging.cut(request, commits, size)
        body["commits"] = [self._documents.commit(repository, commit) for commit in page]
        body["files"] = files if paging.page(request) == 1 else []
        return web.json_response(body, headers=headers)

    def _compare(
        self, repo: Repo, repository: Repository, first: Commit, last: Commit
    ) -> tuple[dict[str, Any], list[Commit], list[dict[str, Any]]]:
        common = merge_base(repo, first.id, last.id)
        if common is None:
            raise GithubError(404, f"No common ancestor between {text(first.id)} and {text(last.id)}.")
        ahead = between(repo, [first.id], last.id)
        behind = len(reachable(repo, [first.id], without=reachable(repo, [last.id])))
        words = {(True, True): "diverged", (True, False): "ahead", (False, True): "behind"}
        found = changes(repo, tree_of(repo, common), last.tree, renames=True)[:MOST_FILES]
        parted = find_commit(repo, text(common))
        body = {
            "url": f"{self._documents.at(repository)}/compare/{text(first.id)}...{text(last.id)}",
            "base_commit": self._documents.commit(repository, first),
            "merge_base_commit": self._documents.commit(repository, parted or first),
            "status": words.get((bool(ahead), behind > 0), "identical"),
            "ahead_by": len(ahead),
            "behind_by": behind,
            "total_commits": len(ahead),
        }
        return body, ahead, [self._file(repo, repository, change) for change in found]

    def _file(self, repo: Repo, repository: Repository, change: Change) -> dict[str, Any]:
        added, deleted, patch = patch_of(repo.object_store, change)
        sha = change.new or change.old or b""
        file: dict[str, Any] = {
            "sha": text(sha),
            "filename": change.path,
            "status": change.status,
            "additions": added,
            "deletions": deleted,
            "changes": added + deleted,
            "contents_url": f"{self._documents.at(repository)}/contents/{change.path}",
        }
        if patch is not None:
            file["patch"] = patch
        if change.previous is not None:
            file["previous_filename"] = change.previous
        return file

    def allowed(self, request: web.Request, permission: str, level: str = "read") -> Repository:
        """Return the repository of an address. Raises 404 for what may not be seen, 403 for what may not be done."""
        named = request.match_info["owner"], request.match_info["name"]
        return self._allowed(request, self._directory.repository(*named), permission, level)

    async def read(self, repository: Repository, look: Callable[[Repo], T]) -> T:
        """Return what `look` finds in a git repository, in a thread of its own."""

        def work() -> T:
            with self._repositories.open(repository) as repo:
                return look(repo)

        return await asyncio.to_thread(work)

    def _allowed(
        self, request: web.Request, repository: Repository | None, permission: str, level: str = "read"
    ) -> Repository:
        allow(request[CALLER], repository, self._directory, permission, level)
        if repository is None:
            raise not_found()
        return repository


def _require_content(repo: Repo) -> None:
    if not repo.get_refs():
        raise GithubError(409, "Git Repository is empty.")
