"""The git repositories: bare ones, named by the id of the repository, read and written by dulwich.

`Repo` objects are opened for one piece of work and closed again, in whichever thread does it.
"""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dulwich.repo import Repo

from workers.local.github.records import Repository


class Repositories:
    """All git repositories below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def lock(self, repository: Repository) -> asyncio.Lock:
        """Return the lock that whoever moves a ref holds."""
        return self._locks[repository.id]

    def create(self, repository: Repository) -> None:
        """Make an empty bare repository unless it is there; what a death left half made is made anew."""
        path, fresh = self._path(repository), self._root / f".{repository.id}"
        if path.is_dir():
            return
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        Repo.init_bare(fresh, default_branch=repository.default_branch.encode()).close()
        fresh.rename(path)

    @contextmanager
    def open(self, repository: Repository) -> Iterator[Repo]:
        """Open a repository for one piece of work."""
        with Repo(str(self._path(repository))) as opened:
            yield opened

    def _path(self, repository: Repository) -> Path:
        return self._root / f"{repository.id}.git"
