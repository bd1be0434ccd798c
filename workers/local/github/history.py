"""What git knows about commits and trees: names resolved, commits between two points, files that differ.

Paths are text; bytes that are no UTF-8 become U+FFFD, as in GitHub's JSON.
"""

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter

from dulwich.diff_tree import RenameDetector, TreeChange, tree_changes
from dulwich.graph import find_merge_base
from dulwich.object_store import BaseObjectStore
from dulwich.objects import Blob, Commit, ObjectID, Tag, Tree, valid_hexsha
from dulwich.refs import Ref
from dulwich.repo import Repo

ZERO = "0" * 40
_LARGEST_PATCH = 1 << 20
_BINARY_LOOK = 8000
_GITLINK = 0o160000


def text(raw: bytes) -> str:
    """Return what git holds as bytes."""
    return raw.decode(errors="replace")


def ref_named(repo: Repo, name: str) -> ObjectID | None:
    """Return what a full ref name, as refs/heads/main, points at."""
    try:
        return repo.refs[Ref(name.encode())]
    except (KeyError, ValueError):
        return None


def find_commit(repo: Repo, name: str) -> Commit | None:
    """Return the commit that a branch, a tag, HEAD or a full SHA-1 names; an annotated tag leads to its commit."""
    candidates = (name, f"refs/{name}", f"refs/heads/{name}", f"refs/tags/{name}")
    found = next((sha for candidate in candidates if (sha := _pointed(repo, candidate))), None)
    if found is None and valid_hexsha(name.encode()) and ObjectID(name.encode()) in repo.object_store:
        found = ObjectID(name.encode())
    thing = None if found is None else repo.object_store[found]
    while isinstance(thing, Tag):
        thing = repo.object_store[thing.object[1]]
    return thing if isinstance(thing, Commit) else None


def _pointed(repo: Repo, name: str) -> ObjectID | None:
    return ref_named(repo, name) if name == "HEAD" or name.startswith("refs/") else None


def find_tree(repo: Repo, name: str) -> Tree | None:
    """Return the tree that its own SHA-1 names, or that of the commit that is named."""
    commit = find_commit(repo, name)
    if commit is not None:
        return _tree(repo, commit.tree)
    sha = name.encode()
    return _tree(repo, ObjectID(sha)) if valid_hexsha(sha) and ObjectID(sha) in repo.object_store else None


def _tree(repo: Repo, sha: ObjectID) -> Tree | None:
    found = repo.object_store[sha]
    return found if isinstance(found, Tree) else None


def reachable(repo: Repo, starts: Collection[ObjectID], *, without: Collection[ObjectID] = ()) -> set[ObjectID]:
    """Return the commits that can be reached, less those of `without`, at which the search ends."""
    found: set[ObjectID] = set()
    waiting = list(starts)
    while waiting:
        sha = waiting.pop()
        if sha in found or sha in without or not isinstance(commit := repo.object_store[sha], Commit):
            continue
        found.add(sha)
        waiting.extend(commit.parents)
    return found


def between(repo: Repo, excluded: Collection[ObjectID], head: ObjectID) -> list[Commit]:
    """Return the commits that lead to `head` and to none of `excluded`, parents first, older first."""
    fresh = reachable(repo, [head], without=reachable(repo, excluded))
    commits = sorted((_commit(repo, sha) for sha in fresh), key=lambda commit: (commit.commit_time, commit.id))
    graph = {commit.id: [parent for parent in commit.parents if parent in fresh] for commit in commits}
    return [_commit(repo, sha) for sha in TopologicalSorter(graph).static_order()]


def _commit(repo: Repo, sha: ObjectID) -> Commit:
    found = repo.object_store[sha]
    if not isinstance(found, Commit):
        raise TypeError(f"{text(sha)} is no commit")
    return found


def merge_base(repo: Repo, base: ObjectID, head: ObjectID) -> ObjectID | None:
    """Return the best common ancestor of two commits, or None."""
    return next(iter(find_merge_base(repo, [base, head])), None)


def tree_of(repo: Repo, sha: ObjectID | None) -> ObjectID | None:
    """Return the tree of a commit; None, the empty tree, for none."""
    return None if sha is None else _commit(repo, sha).tree


@dataclass(frozen=True, slots=True)
class Change:
    """A file that differs between two trees."""

    status: str
    """added, removed, modified or renamed."""
    path: str
    previous: str | None
    """The path that it had, where it was renamed."""
    old: ObjectID | None
    new: ObjectID | None


def changes(repo: Repo, old: ObjectID | None, new: ObjectID | None, *, renames: bool) -> list[Change]:
    """Return what differs between two trees, by path. A file that becomes a link, say, is modified."""
    store = repo.object_store
    if renames:
        found = RenameDetector(store).changes_with_renames(old, new)
    else:
        found = list(tree_changes(store, old, new, change_type_same=True))
    return sorted((_change(change) for change in found), key=lambda change: change.path)


def _change(change: TreeChange) -> Change:
    old, new = change.old, change.new
    there = new if new is not None and new.path is not None else old
    path = text((there.path if there else None) or b"")
    was, becomes = (old.sha if old else None), (new.sha if new else None)
    if change.type == "rename":
        return Change("renamed", path, text((old.path if old else None) or b""), was, becomes)
    if change.type == "copy":
        return Change("added", path, None, None, becomes)
    status = {"add": "added", "delete": "removed"}.get(change.type, "modified")
    return Change(status, path, None, was, becomes)


def patch_of(store: BaseObjectStore, change: Change) -> tuple[int, int, str | None]:
    """Return how many lines were added and deleted, and the patch; None for what is binary, or large."""
    old, new = _content(store, change.old), _content(store, change.new)
    if any(b"\0" in side[:_BINARY_LOOK] or len(side) > _LARGEST_PATCH for side in (old, new)):
        return 0, 0, None
    lines = list(difflib.unified_diff(text(old).splitlines(), text(new).splitlines(), lineterm=""))[2:]
    added = sum(line.startswith("+") for line in lines)
    return added, sum(line.startswith("-") for line in lines), "\n".join(lines)


def _content(store: BaseObjectStore, sha: ObjectID | None) -> bytes:
    found = store[sha] if sha is not None and sha in store else None
    return found.data if isinstance(found, Blob) else b""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tree."""

    path: str
    mode: int
    sha: ObjectID

    @property
    def type(self) -> str:
        """Blob, tree, or commit for a submodule."""
        if self.mode == _GITLINK:
            return "commit"
        return "tree" if self.mode == 0o040000 else "blob"  # noqa: PLR2004 - git's mode of a folder


def entries(repo: Repo, tree: Tree, *, recursive: bool, below: str = "") -> Iterator[Entry]:
    """Yield the entries of a tree, those of its folders after each folder where that is asked for."""
    for item in tree.items():
        entry = Entry(below + text(item.path or b""), item.mode or 0, item.sha or ObjectID(b""))
        yield entry
        if recursive and entry.type == "tree" and (deeper := _tree(repo, entry.sha)) is not None:
            yield from entries(repo, deeper, recursive=True, below=f"{entry.path}/")
