"""The JSON of accounts, repositories and commits, as the REST API and the webhooks show them.

Sources: the response schemas at https://docs.github.com/en/rest and
https://docs.github.com/en/webhooks/webhook-events-and-payloads. Of the many links and counters, those are there that
name what this server serves.
"""

import base64
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from dulwich.objects import Commit

from workers.local.github.history import text
from workers.local.github.records import Account, Installation, Repository, timestamp

_PERSON = re.compile(r"(?P<name>.*?)\s*<(?P<email>[^>]*)>.*", re.DOTALL)


class Documents:
    """Makes JSON whose links lead to `url`, where this server is; `registry` is that of its container packages."""

    def __init__(self, url: str, registry: str) -> None:
        self.url = url
        self.registry = registry

    def account(self, account: Account) -> dict[str, Any]:
        """Return a user, a bot or an organization."""
        return {
            "login": account.login,
            "id": account.id,
            "node_id": node_id(account.type, account.id),
            "avatar_url": "",
            "gravatar_id": "",
            "url": f"{self.url}/users/{account.login}",
            "html_url": f"{self.url}/{account.login}",
            "type": account.type,
            "user_view_type": "public",
            "site_admin": False,
        }

    def repository(self, repository: Repository) -> dict[str, Any]:
        """Return a repository as the REST API shows it."""
        api, html = self.at(repository), f"{self.url}/{repository.full_name}"
        return {
            "id": repository.id,
            "node_id": node_id("Repository", repository.id),
            "name": repository.name,
            "full_name": repository.full_name,
            "private": repository.private,
            "owner": self.account(repository.owner),
            "html_url": html,
            "description": None,
            "fork": False,
            "url": api,
            "branches_url": f"{api}/branches{{/branch}}",
            "commits_url": f"{api}/commits{{/sha}}",
            "compare_url": f"{api}/compare/{{base}}...{{head}}",
            "contents_url": f"{api}/contents/{{+path}}",
            "git_refs_url": f"{api}/git/refs{{/sha}}",
            "trees_url": f"{api}/git/trees{{/sha}}",
            "clone_url": f"{html}.git",
            "created_at": timestamp(repository.created_at),
            "updated_at": timestamp(repository.pushed_at or repository.created_at),
            "pushed_at": timestamp(repository.pushed_at),
            "archived": False,
            "disabled": False,
            "visibility": "private" if repository.private else "public",
            "default_branch": repository.default_branch,
        }

    def repository_in_push(self, repository: Repository) -> dict[str, Any]:
        """Return a repository as a push shows it: times of creation and push are Unix seconds there."""
        owner = self.account(repository.owner) | {"name": repository.owner.login, "email": None}
        times = {"created_at": repository.created_at, "pushed_at": repository.pushed_at}
        names = {"master_branch": repository.default_branch}
        if repository.owner.type == "Organization":
            names["organization"] = repository.owner.login
        html = {"url": f"{self.url}/{repository.full_name}", "stargazers": 0}
        return self.repository(repository) | {"owner": owner} | times | names | html

    def organization(self, account: Account) -> dict[str, Any]:
        """Return an organization as webhooks show it."""
        return {
            "login": account.login,
            "id": account.id,
            "node_id": node_id("Organization", account.id),
            "url": f"{self.url}/orgs/{account.login}",
            "repos_url": f"{self.url}/orgs/{account.login}/repos",
            "avatar_url": "",
            "description": "",
        }

    def context(self, repository: Repository, sender: Account, installation: Installation | None) -> dict[str, Any]:
        """Return what the payload of every webhook ends with."""
        found: dict[str, Any] = {"sender": self.account(sender)}
        if repository.owner.type == "Organization":
            found["organization"] = self.organization(repository.owner)
        if installation is not None:
            number = installation.id
            found["installation"] = {"id": number, "node_id": node_id("IntegrationInstallation", number)}
        return found

    def git_commit(self, repository: Repository, commit: Commit) -> dict[str, Any]:
        """Return what git itself knows of a commit."""
        tree = text(commit.tree)
        return {
            "author": person(commit.author, commit.author_time),
            "committer": person(commit.committer, commit.commit_time),
            "message": text(commit.message).rstrip("\n"),
            "tree": {"sha": tree, "url": f"{self.at(repository)}/git/trees/{tree}"},
            "url": f"{self.at(repository)}/git/commits/{text(commit.id)}",
            "comment_count": 0,
            "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None},
        }

    def commit(self, repository: Repository, commit: Commit) -> dict[str, Any]:
        """Return a commit as the REST API shows it, without its files."""
        api, sha = self.at(repository), text(commit.id)
        return {
            "sha": sha,
            "node_id": node_id("Commit", repository.id, sha),
            "commit": self.git_commit(repository, commit),
            "url": f"{api}/commits/{sha}",
            "html_url": f"{self.url}/{repository.full_name}/commit/{sha}",
            "author": None,
            "committer": None,
            "parents": [{"sha": text(parent), "url": f"{api}/commits/{text(parent)}"} for parent in commit.parents],
        }

    def at(self, repository: Repository) -> str:
        """Return where the REST API of a repository is."""
        return f"{self.url}/repos/{repository.full_name}"


def node_id(kind: str, *names: object) -> str:
    """Return an opaque global id."""
    return base64.b64encode(":".join(map(str, (kind, *names))).encode()).decode()


def person(raw: bytes, at: int) -> dict[str, str | None]:
    """Return who wrote a commit, and when, in UTC."""
    name, email = name_and_email(raw)
    return {"name": name, "email": email, "date": timestamp(at)}


def name_and_email(raw: bytes) -> tuple[str, str]:
    """Split git's `NAME <EMAIL>`."""
    found = _PERSON.fullmatch(text(raw))
    return (found["name"], found["email"]) if found else (text(raw), "")


def local_time(seconds: int, offset: int) -> str:
    """Return a time with its own zone, as a push shows it. `offset`: seconds east of UTC."""
    zone = UTC if offset == 0 else timezone(timedelta(seconds=offset))
    return datetime.fromtimestamp(seconds, zone).isoformat().replace("+00:00", "Z")
