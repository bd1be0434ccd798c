"""GitHub, as far as it is asked: what a branch is, what it holds, and which deliveries failed."""

from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from schemas.github import NetChange


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository by its number; `installation_id` is the App's installation that may read it, if it is known."""

    id: int
    installation_id: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a commit stands to a base, and what changed from there."""

    status: Literal["ahead", "behind", "diverged", "identical"]
    """`ahead`: the base is one of its ancestors; `behind`: it is an ancestor of the base."""
    change: NetChange | None
    """What changed since the common ancestor; None when not every file is listed."""


class Github(Protocol):
    """Reads repositories. Every method raises NotFound for a repository that is gone or that we may not see."""

    async def head(self, repository: Repository, ref: str) -> str | None:
        """Return the commit that a ref (`refs/heads/main`) names, a tag's too; None when there is no such ref."""

    async def compare(self, repository: Repository, base: str, head: str) -> Comparison:
        """Compare two commits. Raises NotFound when one of them is unknown."""

    async def files(self, repository: Repository, commit: str, folders: AbstractSet[str]) -> Mapping[str, str]:
        """Return path → content's hash of all files below these folders (`""` is the top) in a commit.

        A folder that is not there holds none. Raises NotFound when the commit is unknown.
        """


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver a webhook."""

    id: int
    """The attempt's own number."""
    guid: str
    """What all attempts to deliver the same event share."""
    again: bool
    """Whether it was asked for; the first attempt is GitHub's own."""
    delivered_at: datetime
    """When it was made."""
    ok: bool
    """Whether we answered that we have it."""
    status: str
    """What GitHub says of it."""
    event: str
    """`push`, `ping`, …"""


class Deliveries(Protocol):
    """The App's own webhook deliveries."""

    @property
    def configured(self) -> bool:
        """Whether there is an App whose deliveries can be listed."""

    def attempts(self) -> AsyncIterator[Delivery]:
        """Yield the attempts that GitHub remembers, the newest first; stop when enough are seen."""

    async def redeliver(self, attempt: int) -> None:
        """Ask for another attempt to deliver what an attempt was about. Raises NotFound when it is forgotten."""
