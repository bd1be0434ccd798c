"""Who and what there is: accounts, repositories, the App, its installations and what each of them may see."""

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping

from workers.local.github.records import Account, App, Installation, Repository


class Directory:
    """The tables of accounts, repositories, the App and installations. `clock`: Unix seconds."""

    def __init__(self, database: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add_account(self, id_: int, login: str, kind: str) -> Account:
        """Add an account unless it is there."""
        self._database.execute("INSERT OR IGNORE INTO accounts VALUES (?, ?, ?)", (id_, login, kind))
        return Account(id_, login, kind)

    def account(self, login: str) -> Account | None:
        """Return the account of a login, however it is capitalised."""
        row = self._database.execute("SELECT * FROM accounts WHERE login = ?", (login,)).fetchone()
        return None if row is None else Account(row["id"], row["login"], row["type"])

    def add_repository(
        self, owner: Account, name: str, *, private: bool, branch: str, id_: int | None = None
    ) -> Repository:
        """Add a repository. Raises sqlite3.IntegrityError when the owner has one of this name."""
        row = (id_, owner.id, name, private, branch, int(self._clock()), None)
        cursor = self._database.execute("INSERT INTO repositories VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        found = self.repository_by_id(int(cursor.lastrowid or 0))
        if found is None:  # pragma: no cover - it was written in the statement before
            raise RuntimeError("the repository is gone as soon as it was made")
        return found

    def repository(self, owner: str, name: str) -> Repository | None:
        """Return a repository by its name, however it is capitalised."""
        return self._repository("accounts.login = ? AND repositories.name = ?", (owner, name))

    def repository_by_id(self, id_: int) -> Repository | None:
        """Return a repository by its id."""
        return self._repository("repositories.id = ?", (id_,))

    def rename(self, repository: Repository, name: str) -> Repository:
        """Call a repository otherwise. Raises sqlite3.IntegrityError when its owner has another one of this name."""
        row = (repository.owner.id, repository.name, repository.id)
        self._database.execute("UPDATE repositories SET name = ? WHERE id = ?", (name, repository.id))
        self._database.execute("INSERT OR REPLACE INTO former_names VALUES (?, ?, ?)", row)
        return self.repository_by_id(repository.id) or repository

    def renamed(self, owner: str, name: str) -> Repository | None:
        """Return the repository that was called so once, unless another one is called so now."""
        found = self._database.execute(
            "SELECT repository FROM former_names JOIN accounts ON accounts.id = owner WHERE login = ? AND name = ?",
            (owner, name),
        ).fetchone()
        if found is None or self.repository(owner, name) is not None:
            return None
        return self.repository_by_id(found["repository"])

    def pushed(self, repository: Repository) -> Repository:
        """Note that a repository was pushed to just now."""
        self._database.execute(
            "UPDATE repositories SET pushed_at = ? WHERE id = ?", (int(self._clock()), repository.id)
        )
        return self.repository_by_id(repository.id) or repository

    def add_app(self, app: App) -> None:
        """Register the App."""
        row = (app.id, app.client_id, app.slug, app.name, app.owner.id, app.public_key)
        self._database.execute(
            "INSERT OR IGNORE INTO apps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, app.hook_url, app.hook_secret, app.created_at),
        )

    def app(self) -> App | None:
        """Return the App, if one is registered."""
        row = self._database.execute(
            "SELECT apps.*, login, type FROM apps JOIN accounts ON accounts.id = apps.owner ORDER BY apps.id"
        ).fetchone()
        if row is None:
            return None
        owner = Account(row["owner"], row["login"], row["type"])
        named = (row["id"], row["client_id"], row["slug"], row["name"])
        return App(*named, owner, row["public_key"], row["hook_url"], row["hook_secret"], row["created_at"])

    def set_hook(self, *, url: str | None = None, secret: str | None = None) -> None:
        """Change where the App's webhooks go, and what they are signed with."""
        self._database.execute(
            "UPDATE apps SET hook_url = coalesce(?, hook_url), hook_secret = coalesce(?, hook_secret)", (url, secret)
        )

    def add_installation(
        self, id_: int, account: Account, permissions: Mapping[str, str], events: Collection[str], *, selection: str
    ) -> None:
        """Install the App on an account unless it is. `selection`: all, or selected."""
        row = (id_, account.id, selection, json.dumps(dict(permissions)), json.dumps(list(events)))
        self._database.execute(
            "INSERT OR IGNORE INTO installations VALUES (?, ?, ?, ?, ?, NULL, ?)", (*row, int(self._clock()))
        )

    def subscribe(self, installation: int, events: Collection[str]) -> None:
        """Change what an installation is told of."""
        row = (json.dumps(list(events)), installation)
        self._database.execute("UPDATE installations SET events = ? WHERE id = ?", row)

    def select(self, installation: int, repository: int) -> None:
        """Let an installation see a repository."""
        self._database.execute("INSERT OR IGNORE INTO selected VALUES (?, ?)", (installation, repository))

    def suspend(self, installation: int, *, suspended: bool) -> None:
        """Suspend an installation, or let it work again."""
        at = int(self._clock()) if suspended else None
        self._database.execute("UPDATE installations SET suspended_at = ? WHERE id = ?", (at, installation))

    def installations(self) -> list[Installation]:
        """Return all installations, oldest first."""
        rows = self._database.execute(
            "SELECT installations.*, login, type FROM installations JOIN accounts ON accounts.id = account"
            " ORDER BY installations.id"
        )
        return [_installation(row) for row in rows]

    def installation(self, id_: int) -> Installation | None:
        """Return an installation by its id."""
        return next((found for found in self.installations() if found.id == id_), None)

    def installation_on(self, repository: Repository) -> Installation | None:
        """Return the installation that sees a repository, if one does."""
        return next((found for found in self.installations() if self.sees(found, repository)), None)

    def sees(self, installation: Installation, repository: Repository) -> bool:
        """Whether an installation sees a repository."""
        if installation.account.id != repository.owner.id:
            return False
        if installation.selection == "all":
            return True
        row = (installation.id, repository.id)
        query = "SELECT 1 FROM selected WHERE installation = ? AND repository = ?"
        return self._database.execute(query, row).fetchone() is not None

    def seen_by(self, installation: Installation) -> list[Repository]:
        """Return the repositories that an installation sees, oldest first."""
        ids = self._database.execute(
            "SELECT id FROM repositories WHERE owner = ? ORDER BY id", (installation.account.id,)
        )
        found = [self.repository_by_id(row["id"]) for row in ids.fetchall()]
        return [repository for repository in found if repository and self.sees(installation, repository)]

    def package(self, owner: Account, name: str) -> int:
        """Return the id of a package, made on first use."""
        row = (owner.id, name, int(self._clock()))
        self._database.execute("INSERT OR IGNORE INTO packages (owner, name, created_at) VALUES (?, ?, ?)", row)
        query = "SELECT id FROM packages WHERE owner = ? AND name = ?"
        return int(self._database.execute(query, row[:2]).fetchone()["id"])

    def _repository(self, where: str, values: tuple[object, ...]) -> Repository | None:
        row = self._database.execute(
            "SELECT repositories.*, login, type FROM repositories JOIN accounts ON accounts.id = owner WHERE "  # noqa: S608 - the conditions are those above
            + where,
            values,
        ).fetchone()
        if row is None:
            return None
        owner = Account(row["owner"], row["login"], row["type"])
        times = (row["created_at"], row["pushed_at"])
        return Repository(row["id"], owner, row["name"], bool(row["private"]), row["default_branch"], *times)


def _installation(row: sqlite3.Row) -> Installation:
    account = Account(row["account"], row["login"], row["type"])
    granted, events = json.loads(row["permissions"]), tuple(json.loads(row["events"]))
    return Installation(row["id"], account, row["selection"], granted, events, row["suspended_at"], row["created_at"])
