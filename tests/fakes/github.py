"""GitHub in memory: repositories of commits with files, refs that move, and an API that may lag behind."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas.github import NetChange
from workers.failures import NotFound, SealaneError
from workers.ports.github import Comparison, Delivery, Repository

MOST_COMPARED = 300


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: its parent and all its files, path → content."""

    sha: str
    parent: str | None
    files: Mapping[str, str]


@dataclass
class Stored:
    """A repository."""

    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str] | None = None
    """What the API still says of the refs, while it lags."""

    def commit(self, files: Mapping[str, str], *, on: str | None = None) -> str:
        """Store a commit and return its name."""
        text = f"{len(self.commits)}|{on}|{sorted(files.items())}"
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.commits[sha] = Commit(sha, on, dict(files))
        return sha

    def ancestors(self, sha: str) -> list[str]:
        """Return a commit and its ancestors, the nearest first."""
        found: list[str] = []
        at: str | None = sha
        while at is not None:
            found.append(at)
            at = self.commits[at].parent
        return found


class FakeGithub:
    """The port Github. `calls` counts what was asked; `failure` is raised instead of the next answer."""

    def __init__(self) -> None:
        self.repositories: dict[int, Stored] = {}
        self.calls: list[str] = []
        self.failure: SealaneError | None = None

    async def head(self, repository: Repository, ref: str) -> str | None:
        """Return what the API says of the ref."""
        stored = self._asked("head", repository)
        return (stored.refs if stored.shown is None else stored.shown).get(ref)

    async def compare(self, repository: Repository, base: str, head: str) -> Comparison:
        """Compare as GitHub does: from the common ancestor, at most 300 files."""
        stored = self._asked("compare", repository)
        for sha in (base, head):
            self._commit(stored, sha)
        if base == head:
            return Comparison("identical", NetChange((), (), ()))
        behind, ahead = stored.ancestors(base), stored.ancestors(head)
        common = next((sha for sha in ahead if sha in behind), None)
        if common is None:
            raise NotFound(f"{base} and {head} have no common ancestor")
        before, after = stored.commits[common].files, stored.commits[head].files
        change = NetChange(
            tuple(sorted(after.keys() - before.keys())),
            tuple(sorted(path for path in after.keys() & before.keys() if after[path] != before[path])),
            tuple(sorted(before.keys() - after.keys())),
        )
        whole = sum(map(len, change)) < MOST_COMPARED
        if common == base:
            return Comparison("ahead", change if whole else None)
        return Comparison("behind" if common == head else "diverged", change if whole else None)

    async def files(self, repository: Repository, commit: str, folders: AbstractSet[str]) -> Mapping[str, str]:
        """Return the files below the folders."""
        stored = self._commit(self._asked("files", repository), commit)
        return {
            path: hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
            for path, content in stored.files.items()
            if any(folder == "" or path.startswith(f"{folder}/") for folder in folders)
        }

    def _asked(self, call: str, repository: Repository) -> Stored:
        self.calls.append(call)
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        if repository.id not in self.repositories:
            raise NotFound(f"repository {repository.id} is not there, or not for us to see")
        return self.repositories[repository.id]

    @staticmethod
    def _commit(stored: Stored, sha: str) -> Commit:
        if sha not in stored.commits:
            raise NotFound(f"{sha} is no commit of the repository")
        return stored.commits[sha]


class FakeDeliveries:
    """The port Deliveries: attempts that were made, and what was asked for again."""

    def __init__(self, *, configured: bool = True) -> None:
        self.configured = configured
        self.made: list[Delivery] = []
        self.asked: list[int] = []
        self.failure: SealaneError | None = None
        self.yielded = 0

    def add(self, guid: str, at: datetime, *, ok: bool) -> Delivery:
        """Remember an attempt."""
        status = "OK" if ok else "Invalid HTTP Response: 503"
        again = any(attempt.guid == guid for attempt in self.made)
        self.made.append(Delivery(len(self.made) + 1, guid, again, at.astimezone(UTC), ok, status, "push"))
        return self.made[-1]

    async def attempts(self) -> AsyncIterator[Delivery]:
        """Yield the attempts, the newest first."""
        for delivery in sorted(self.made, key=lambda one: (one.delivered_at, one.id), reverse=True):
            self.yielded += 1
            yield delivery

    async def redeliver(self, attempt: int) -> None:
        """Note that it was asked for."""
        if self.failure is not None:
            raise self.failure
        if all(delivery.id != attempt for delivery in self.made):
            raise NotFound(f"attempt {attempt} is forgotten")
        self.asked.append(attempt)
