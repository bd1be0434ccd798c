"""The port Github: refs, comparisons and trees of repositories.

Sources: docs.github.com/rest: Get a reference, Get a commit, Compare two commits (300 files), Get a tree (`truncated`).
A repository is found by its number; the token that reads it can read no other, so a name that somebody else took
meanwhile is a 404, never somebody else's files.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import quote

from schemas.github import NetChange
from workers.adapters.github.client import Answer, GithubClient, Moved
from workers.adapters.github.credentials import AppCredentials
from workers.failures import Denied, Invalid, NotFound, Unavailable
from workers.ports.github import Comparison, Repository

MOST_COMPARED = 300
"""Files that a comparison lists; with as many, there may be more."""
_STATUSES: Mapping[str, Literal["ahead", "behind", "diverged", "identical"]] = {
    "ahead": "ahead",
    "behind": "behind",
    "diverged": "diverged",
    "identical": "identical",
}
_MOST_TREES = 2000
"""Trees that are read for one question."""
_NAME_AGE = 60.0
"""Seconds for which a repository's name is believed."""


class GithubRepositories:
    """Reads repositories as the App's installations may."""

    def __init__(
        self, client: GithubClient, credentials: AppCredentials, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._now = now
        self._names: dict[int, tuple[str, float]] = {}

    async def head(self, repository: Repository, ref: str) -> str | None:
        """See workers.ports.Github."""
        short = quote(ref.removeprefix("refs/"))
        try:
            with _known_form():
                if ref.startswith("refs/heads/"):
                    return str((await self._ask(repository, f"/git/ref/{short}")).data["object"]["sha"])
                # A tag may be an object of its own: this peels it.
                return str((await self._ask(repository, f"/commits/{short}")).data["sha"])
        except NotFound:
            # Is it the ref that is not there, or the repository?
            await self._name(repository, anew=True)
            return None

    async def compare(self, repository: Repository, base: str, head: str) -> Comparison:
        """See workers.ports.Github."""
        # The files are on the first page, however few commits are on it.
        answer = await self._ask(repository, f"/compare/{base}...{head}?per_page=1")
        with _known_form():
            files = answer.data["files"] or []
            status = _STATUSES[answer.data["status"]]
            return Comparison(status, _change(files) if len(files) < MOST_COMPARED else None)

    async def files(self, repository: Repository, commit: str, folders: AbstractSet[str]) -> Mapping[str, str]:
        """See workers.ports.Github."""
        walk = _Walk(lambda tree, query: self._ask(repository, f"/git/trees/{tree}{query}"))
        with _known_form():
            return await walk.files(commit, folders)

    async def _ask(self, repository: Repository, path: str) -> Answer:
        """Ask below a repository; once more with another name or token, where the first was out of date."""
        try:
            return await self._ask_once(repository, path)
        except (Denied, Moved, NotFound) as error:
            name, _ = self._names.get(repository.id, ("", 0.0))
            if isinstance(error, Denied):
                self._credentials.forget(repository)
            elif await self._name(repository, anew=True) == name:
                raise
            return await self._ask_once(repository, path)

    async def _ask_once(self, repository: Repository, path: str) -> Answer:
        name = await self._name(repository)
        credential = await self._credentials.installation(repository)
        return await self._client.get(f"/repos/{name}{path}", credential, lookup=True)

    async def _name(self, repository: Repository, *, anew: bool = False) -> str:
        name, at = self._names.get(repository.id, ("", 0.0))
        if anew or not name or self._now() - at > _NAME_AGE:
            credential = await self._credentials.installation(repository)
            answer = await self._client.get(f"/repositories/{repository.id}", credential)
            with _known_form():
                name = str(answer.data["full_name"])
            self._names[repository.id] = (name, self._now())
        return name


class _Walk:
    """Reads trees: whole ones where GitHub lists them whole, else level by level."""

    def __init__(self, ask: Callable[[str, str], Awaitable[Answer]]) -> None:
        self._ask = ask
        self._asked = 0
        self._found: dict[str, str] = {}

    async def files(self, commit: str, folders: AbstractSet[str]) -> dict[str, str]:
        if "" in folders:
            await self._all(commit, "")
            return self._found
        top = await self._level(commit)
        for folder in sorted(folders):
            await self._below(top, folder)
        return self._found

    async def _below(self, entries: list[dict[str, Any]], folder: str) -> None:
        above = ""
        *parents, last = folder.split("/")
        for part in parents:
            tree = _subtree(entries, part)
            if tree is None:
                return
            entries, above = await self._level(tree), f"{above}{part}/"
        tree = _subtree(entries, last)
        if tree is not None:
            await self._all(tree, f"{above}{last}/")

    async def _all(self, tree: str, above: str) -> None:
        answer = await self._tree(tree, "?recursive=1")
        if not answer["truncated"]:
            self._take(answer["tree"], above)
            return
        entries = await self._level(tree)
        self._take(entries, above)
        for entry in entries:
            if entry["type"] == "tree":
                await self._all(entry["sha"], f"{above}{entry['path']}/")

    async def _level(self, tree: str) -> list[dict[str, Any]]:
        answer = await self._tree(tree, "")
        if answer["truncated"]:
            raise Invalid(f"a folder of the commit holds more files than GitHub lists (tree {tree})")
        entries: list[dict[str, Any]] = answer["tree"]
        return entries

    async def _tree(self, tree: str, query: str) -> dict[str, Any]:
        self._asked += 1
        if self._asked > _MOST_TREES:
            raise Invalid(
                f"the rules' folders have more than {_MOST_TREES} folders below them: write narrower patterns"
            )
        found: dict[str, Any] = (await self._ask(tree, query)).data
        return found

    def _take(self, entries: list[dict[str, Any]], above: str) -> None:
        self._found.update((f"{above}{entry['path']}", entry["sha"]) for entry in entries if entry["type"] != "tree")


@contextmanager
def _known_form() -> Iterator[None]:
    """Raise Unavailable where an answer is not as GitHub documents it: never guess what it means."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise Unavailable(f"GitHub answers in a form that is not known ({type(error).__name__})") from None


def _subtree(entries: list[dict[str, Any]], name: str) -> str | None:
    return next((entry["sha"] for entry in entries if entry["path"] == name and entry["type"] == "tree"), None)


def _change(files: list[dict[str, Any]]) -> NetChange:
    """Return what a comparison lists; what was renamed is gone from its old path and new at the other."""
    words = {"added": "added", "copied": "added", "removed": "removed", "unchanged": ""}
    found: dict[str, set[str]] = {"added": set(), "modified": set(), "removed": set(), "": set()}
    for file in files:
        if file["status"] == "renamed":
            found["removed"].add(file["previous_filename"])
            found["added"].add(file["filename"])
        else:
            found[words.get(file["status"], "modified")].add(file["filename"])
    both = found["added"] & found["removed"]
    return NetChange(
        tuple(sorted(found["added"] - both)),
        tuple(sorted(found["modified"] | both)),
        tuple(sorted(found["removed"] - both)),
    )
