"""The payload of a push.

Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads#push: at most 2,048 commits, of each at most
3,000 changed files, and no event at all for more than three tags, or more than 5,000 branches, in one push. Which
commits and files are kept where there are more is not documented; here it is the newest commits, and the first files
by path. A merge is compared with its first parent, a rename is one path removed and one added.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from dulwich.objects import Commit, ObjectID, Tag
from dulwich.repo import Repo

from workers.local.github.credentials import Caller
from workers.local.github.documents import Documents, local_time, name_and_email
from workers.local.github.history import ZERO, Change, between, changes, reachable, text, tree_of
from workers.local.github.records import Account, Installation, Repository
from workers.local.github.smart_http import Update

MOST_COMMITS = 2048
MOST_FILES = 3000
MOST_TAGS = 3
MOST_BRANCHES = 5000


def announced(updates: Sequence[Update]) -> list[Update]:
    """Return the refs of one push that GitHub makes an event of."""
    tags = [update for update in updates if update.ref.startswith("refs/tags/")]
    branches = [update for update in updates if update.ref.startswith("refs/heads/")]
    return (branches if len(branches) <= MOST_BRANCHES else []) + (tags if len(tags) <= MOST_TAGS else [])


def push_payload(
    repo: Repo,
    documents: Documents,
    repository: Repository,
    update: Update,
    others: Iterable[Update],
    pusher: tuple[Account, Installation | None],
) -> dict[str, Any]:
    """Return the payload of one ref that was moved. `others`: what else was moved in the same push."""
    sender, installation = pusher
    elsewhere = _elsewhere(repo, update, others)
    commits = _new_commits(repo, update, elsewhere)
    seen = reachable(repo, set(elsewhere.values()))
    shown = [_commit(repo, documents, repository, commit, distinct=commit.id not in seen) for commit in commits]
    head = _head(repo, update.after)
    created, deleted = update.before == ZERO, update.after == ZERO
    return {
        "ref": update.ref,
        "before": update.before,
        "after": update.after,
        "repository": documents.repository_in_push(repository),
        "pusher": {"name": sender.login, "email": f"{sender.id}+{sender.login}@users.noreply.github.com"},
        **documents.context(repository, sender, installation),
        "created": created,
        "deleted": deleted,
        "forced": not created and not deleted and not _is_ancestor(repo, update),
        "base_ref": _base_ref(update, elsewhere),
        "compare": _compare(documents, repository, update),
        "commits": shown[-MOST_COMMITS:],
        "head_commit": None if head is None else _commit(repo, documents, repository, head, distinct=True),
    }


def sender_of(caller: Caller, slug: str) -> Account:
    """Return who pushes: the person, or the bot of the App."""
    if caller.user is not None:
        return caller.user
    return Account(caller.installation.id if caller.installation else 0, f"{slug}[bot]", "Bot")


def _head(repo: Repo, after: str) -> Commit | None:
    """Return the commit that a ref points at now, through annotated tags."""
    found = None if after == ZERO else repo.object_store[ObjectID(after.encode())]
    while isinstance(found, Tag):
        found = repo.object_store[found.object[1]]
    return found if isinstance(found, Commit) else None


def _elsewhere(repo: Repo, update: Update, others: Iterable[Update]) -> dict[str, ObjectID]:
    """Return where the other branches were before the push."""
    now = {text(ref): sha for ref, sha in repo.get_refs().items() if ref.startswith(b"refs/heads/")}
    for other in others:
        now.pop(other.ref, None)
        if other.before != ZERO and other.ref.startswith("refs/heads/"):
            now[other.ref] = ObjectID(other.before.encode())
    now.pop(update.ref, None)
    return now


def _new_commits(repo: Repo, update: Update, elsewhere: dict[str, ObjectID]) -> list[Commit]:
    """Return the commits of a push: since `before`, or, for a new branch, those that no other branch has."""
    head = _head(repo, update.after)
    if head is None or update.ref.startswith("refs/tags/"):
        return []
    if update.before == ZERO:
        return between(repo, set(elsewhere.values()), head.id)
    return between(repo, [ObjectID(update.before.encode())], head.id)


def _is_ancestor(repo: Repo, update: Update) -> bool:
    before, after = _head(repo, update.before), _head(repo, update.after)
    return before is not None and after is not None and before.id in reachable(repo, [after.id])


def _base_ref(update: Update, elsewhere: dict[str, ObjectID]) -> str | None:
    """Return the branch that a new ref begins at, if there is one."""
    if update.before != ZERO:
        return None
    return next((ref for ref, sha in sorted(elsewhere.items()) if text(sha) == update.after), None)


def _compare(documents: Documents, repository: Repository, update: Update) -> str:
    html = f"{documents.url}/{repository.full_name}"
    if ZERO in {update.before, update.after}:
        sha = update.after if update.before == ZERO else update.before
        return (
            f"{html}/commit/{sha[:12]}" if update.before != ZERO else f"{html}/compare/{update.ref.split('/', 2)[-1]}"
        )
    return f"{html}/compare/{update.before[:12]}...{update.after[:12]}"


def _commit(
    repo: Repo, documents: Documents, repository: Repository, commit: Commit, *, distinct: bool
) -> dict[str, Any]:
    parent = commit.parents[0] if commit.parents else None
    files = changes(repo, tree_of(repo, parent), commit.tree, renames=False)[:MOST_FILES]
    sha = text(commit.id)
    return {
        "id": sha,
        "tree_id": text(commit.tree),
        "distinct": distinct,
        "message": text(commit.message).rstrip("\n"),
        "timestamp": local_time(commit.commit_time, commit.commit_timezone),
        "url": f"{documents.url}/{repository.full_name}/commit/{sha}",
        "author": _person(commit.author),
        "committer": _person(commit.committer),
        "added": _paths(files, "added"),
        "removed": _paths(files, "removed"),
        "modified": _paths(files, "modified"),
    }


def _person(raw: bytes) -> dict[str, str]:
    name, email = name_and_email(raw)
    return {"name": name, "email": email}


def _paths(files: Iterable[Change], status: str) -> list[str]:
    return [change.path for change in files if change.status == status]
