"""Repositories, their refs, branches, commits, and how two commits compare.

Sources: https://docs.github.com/en/rest/repos/repos, /branches/branches, /git/refs, /commits/commits (2022-11-28).
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web
from dulwich.objects import Commit
from dulwich.repo import Repo

from workers.local.github import paging
from workers.local.github.access import CALLER, allow, visible
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
from workers.local.github.rest.bodies import number

T = TypeVar("T")
MOST_FILES = 300
"""Of a comparison, and of a commit."""
MOST_COMMITS = 250
"""Of a comparison that is not asked for by pages."""
PLACES = {"/repos/{owner}/{name}": "", "/repositories/{id}": ".by-id"}
"""Where a repository is, and what tells the routes apart; GitHub sends those who use a former name to its id."""


class RepositoryRoutes:
    """The handlers below `/repos/OWNER/NAME`, and below `/repositories/ID`."""

    def __init__(self, directory: Directory, repositories: Repositories, documents: Documents) -> None:
        self._directory = directory
        self._repositories = repositories
        self._documents = documents

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; what is left of an address after a ref or a range may hold slashes."""
        found = []
        for place, form in PLACES.items():
            found += [
                web.get(place, self.repository, name=f"repository{form}"),
                web.get(f"{place}/branches/{{branch:.+}}", self.branch, name=f"branch{form}"),
                web.get(f"{place}/git/ref/{{ref:.+}}", self.ref, name=f"ref{form}"),
                web.get(f"{place}/commits/{{ref:.+}}", self.commit, name=f"commit{form}"),
                web.get(f"{place}/compare/{{range:.+}}", self.compare, name=f"compare{form}"),
            ]
        return found

    async def repository(self, request: web.Request) -> web.Response:
        """Show a repository."""
        return web.json_response(self._documents.repository(self.allowed(request, "metadata")))

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
        """Return the repository of an address.

        Raises 404 for what may not be seen, 403 for what may not be done, 301 where it has another name by now.
        """
        if "id" in request.match_info:
            found = self._directory.repository_by_id(number(request.match_info["id"]))
        else:
            named = request.match_info["owner"], request.match_info["name"]
            found = self._directory.repository(*named)
            former = self._directory.renamed(*named) if found is None else None
            if former is not None and visible(request[CALLER], former, self._directory):
                raise self._moved(request, former)
        allow(request[CALLER], found, self._directory, permission, level)
        if found is None:
            raise not_found()
        return found

    def _moved(self, request: web.Request, repository: Repository) -> GithubError:
        _, _, rest = request.rel_url.raw_path_qs.removeprefix("/repos/").partition("/")
        _, slash, below = rest.partition("/")
        place = f"{self._documents.url}/repositories/{repository.id}{slash}{below}"
        return GithubError(301, "Moved Permanently", headers={"Location": place})

    async def read(self, repository: Repository, look: Callable[[Repo], T]) -> T:
        """Return what `look` finds in a git repository, in a thread of its own."""

        def work() -> T:
            with self._repositories.open(repository) as repo:
                return look(repo)

        return await asyncio.to_thread(work)


def _require_content(repo: Repo) -> None:
    if not repo.get_refs():
        raise GithubError(409, "Git Repository is empty.")
