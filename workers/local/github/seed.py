"""What a fresh local GitHub holds: an organization, a repository, an App that is installed there, and a person.

    DATA/github.sqlite3     accounts, repositories, the App, deliveries
    DATA/repositories/      bare git repositories
    DATA/app.pem            the App's private key
    DATA/webhook-secret     what the App's webhooks are signed with at first
    DATA/personal-token     the token of the local user, who owns all of it
    DATA/gitconfig          shows that token to this GitHub, for git

All of it is readable by its owner alone.
"""

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from dulwich.objects import Blob, Commit, Tree
from dulwich.refs import Ref

from workers.local.github.directory import Directory
from workers.local.github.records import Account, App, Repository
from workers.local.github.repositories import Repositories

APP_ID = 1_234_567
CLIENT_ID = "Iv23liLocalSealane01"
INSTALLATION_ID = 43_210_987
OWNER = Account(583_231, "acme", "Organization")
USER = Account(21_031_067, "local", "User")
REPOSITORY_ID = 186_853_002
REPOSITORY = "onboarding"
PERMISSIONS = {"contents": "read", "metadata": "read", "packages": "read"}
EVENTS = ("package", "push")
"""Of the two forms in which a package is told, GitHub recommends `package`."""
_README = b"# Onboarding\n\nOne folder for each tenant: `onboarding/TENANT/tenant.yaml`.\n"


@dataclass(frozen=True, slots=True)
class Seeded:
    """The names of what is there."""

    private_key: Path
    webhook_secret: Path
    personal_token: Path
    git_config: Path
    """How git shows the personal token, see `login`; written at each start."""
    app_id: int = APP_ID
    client_id: str = CLIENT_ID
    installation_id: int = INSTALLATION_ID
    owner: str = OWNER.login
    owner_id: int = OWNER.id
    repository: str = f"{OWNER.login}/{REPOSITORY}"
    repository_id: int = REPOSITORY_ID


def seeded(data: Path) -> Seeded:
    """Return the names below a folder; the files are there once the server was started."""
    return Seeded(data / "app.pem", data / "webhook-secret", data / "personal-token", data / "gitconfig")


def make_files(data: Path) -> Seeded:
    """Make the files that are missing. Takes a moment, for the key is an RSA one."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = seeded(data)
    _write(names.private_key, _private_key)
    _write(names.webhook_secret, lambda: secrets.token_urlsafe(32).encode())
    _write(names.personal_token, _personal_token)
    return names


def seed(names: Seeded, directory: Directory, repositories: Repositories) -> None:
    """Make what is missing; what is there stays as it is."""
    directory.add_account(OWNER.id, OWNER.login, OWNER.type)
    directory.add_account(USER.id, USER.login, USER.type)
    repository = directory.repository_by_id(REPOSITORY_ID)
    if repository is None:
        repository = directory.add_repository(OWNER, REPOSITORY, private=True, branch="main", id_=REPOSITORY_ID)
    repositories.create(repository)
    _begin(repositories, repository)
    if directory.app() is None:
        secret = names.webhook_secret.read_text().strip()
        made = int(time.time())
        directory.add_app(App(APP_ID, CLIENT_ID, "sealane", "sealane", OWNER, _public(names), None, secret, made))
    directory.add_installation(INSTALLATION_ID, OWNER, PERMISSIONS, EVENTS, selection="selected")
    directory.select(INSTALLATION_ID, repository.id)


def _public(names: Seeded) -> str:
    """Return the public half of the App's key, PEM."""
    key = serialization.load_pem_private_key(names.private_key.read_bytes(), None).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def _begin(repositories: Repositories, repository: Repository) -> None:
    """Make the first commit of a repository, so that its branch is there."""
    with repositories.open(repository) as repo:
        if repo.get_refs():
            return
        blob, tree, commit = Blob.from_string(_README), Tree(), Commit()
        tree.add(b"README.md", 0o100644, blob.id)
        commit.tree, commit.message, commit.encoding = tree.id, b"Begin\n", b"UTF-8"
        commit.author = commit.committer = f"{USER.login} <{USER.login}@users.noreply.github.com>".encode()
        commit.author_time = commit.commit_time = int(time.time())
        commit.author_timezone = commit.commit_timezone = 0
        for thing in (blob, tree, commit):
            repo.object_store.add_object(thing)
        repo.refs[Ref(f"refs/heads/{repository.default_branch}".encode())] = commit.id


def _personal_token() -> bytes:
    return f"ghp_{secrets.token_hex(18)}".encode()


def _private_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)


def _write(file: Path, make: Callable[[], bytes]) -> None:
    """Write a secret, by rename, unless it is there."""
    if file.exists():
        return
    fresh = file.with_name(f".{file.name}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(make() + b"\n")
    fresh.replace(file)
