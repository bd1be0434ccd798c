"""What the local GitHub knows by id: accounts, repositories, the App and its installations."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Account:
    """A user, a bot or an organization."""

    id: int
    login: str
    type: str
    """User, Bot or Organization."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository; its objects are in a bare git repository named by its id."""

    id: int
    owner: Account
    name: str
    private: bool
    default_branch: str
    created_at: int
    """Unix seconds, as the others."""
    pushed_at: int | None

    @property
    def full_name(self) -> str:
        """OWNER/NAME."""
        return f"{self.owner.login}/{self.name}"


@dataclass(frozen=True, slots=True)
class App:
    """The GitHub App that is registered here."""

    id: int
    client_id: str
    slug: str
    name: str
    owner: Account
    public_key: str
    """PEM."""
    hook_url: str | None
    hook_secret: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Installation:
    """The App on one account, with what the account grants it."""

    id: int
    account: Account
    selection: str
    """all or selected."""
    permissions: Mapping[str, str]
    """Permission → read or write."""
    events: tuple[str, ...]
    suspended_at: int | None
    created_at: int


def timestamp(seconds: float | None) -> str | None:
    """Return Unix seconds as GitHub's API writes a time."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
