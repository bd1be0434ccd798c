"""A repository with tenants, the worker dispatch in front of it, and pushes as GitHub would say them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from schemas.envelope import Envelope
from schemas.events import Event
from schemas.github import ZERO, GithubPushed, net_change
from tests.fakes.claims import FakeClaims
from tests.fakes.clock import FakeClock
from tests.fakes.github import FakeGithub, Stored
from tests.fakes.progress import FakeProgress
from workers.dispatch.worker import dispatch
from workers.github_rules import GithubSettings

REPOSITORY = 5
MAIN = "refs/heads/main"
PATTERN = "onboarding/{tenant}/*.yaml"
RULES = [
    {"repository_id": REPOSITORY, "paths": PATTERN, "event": "tenant.onboarded"},
    {"repository_id": REPOSITORY, "paths": PATTERN, "event": "tenant.offboarded", "changes": ["removed"]},
]


def settings(rules: Iterable[Mapping[str, Any]] = RULES, **further: Any) -> GithubSettings:
    """Return settings with these rules."""
    app = {"app_id": 7, "private_key": "env://KEY"}
    return GithubSettings.model_validate({"rules": list(rules)} | app | further)


def tenant(name: str, file: str = "tenant") -> str:
    """Return the path of a tenant's file."""
    return f"onboarding/{name}/{file}.yaml"


@dataclass
class Scene:
    """The worker's ports, and one repository that they show."""

    github: FakeGithub = field(default_factory=FakeGithub)
    claims: FakeClaims = field(default_factory=FakeClaims)
    clock: FakeClock = field(default_factory=FakeClock)
    progress: FakeProgress = field(default_factory=FakeProgress)
    settings: GithubSettings = field(default_factory=settings)
    stored: Stored = field(default_factory=Stored)
    numbers: int = 0

    def __post_init__(self) -> None:
        self.github.repositories[REPOSITORY] = self.stored

    def push(self, *steps: Mapping[str, str | None], ref: str = MAIN, **said: Any) -> GithubPushed:
        """Push one commit a step (path → content, None removes it) and return what GitHub says of it."""
        before = said.pop("base", self.stored.refs.get(ref))
        at, lists = before, []
        for step in steps:
            files = dict(self.stored.commits[at].files) if at else {}
            lists.append(_lists(files, step))
            files |= {path: content for path, content in step.items() if content is not None}
            for path in [path for path, content in step.items() if content is None]:
                files.pop(path, None)
            at = self.stored.commit(files, on=at)
        return self.moved(ref, before, at, lists, **said)

    def moved(
        self, ref: str, before: str | None, after: str | None, lists: Iterable[tuple[Any, Any, Any]] = (), **said: Any
    ) -> GithubPushed:
        """Move a ref and return what GitHub says of it."""
        known = self.stored.refs.pop(ref, None)
        if after is not None:
            self.stored.refs[ref] = after
        lists = list(lists)
        change = net_change(lists)
        facts = {
            "repository_id": REPOSITORY,
            "repository": "acme/onboarding",
            "ref": ref,
            "before": known or before or ZERO,
            "after": after or ZERO,
            "created": known is None,
            "deleted": after is None,
            "pushed_at": self.clock.now() - timedelta(hours=1),
            "added": change.added,
            "modified": change.modified,
            "removed": change.removed,
            "commits": len(lists),
            "complete": True,
        }
        return GithubPushed.model_validate(facts | said)

    async def take(self, push: GithubPushed, *, event_id: str | None = None) -> list[Event]:
        """Let the worker handle a push, as an event of its own unless it is named."""
        self.numbers += 1
        event_id = event_id or f"push-{self.numbers}"
        envelope = Envelope(id=event_id, source="/github", type=push.event_type, run="run")
        return [*await dispatch(push, envelope, self.github, self.claims, self.settings, self.clock, self.progress)]

    async def tenants(self, push: GithubPushed) -> dict[str, str]:
        """Handle a push and return TENANT → `event: change`."""
        return said(await self.take(push))


def said(events: Iterable[Event]) -> dict[str, str]:
    """Return TENANT → `event: change`."""
    return {event.about(): f"{event.event_type}: {getattr(event, 'change', '')}" for event in events}


def _lists(files: Mapping[str, str], step: Mapping[str, str | None]) -> tuple[list[str], list[str], list[str]]:
    return (
        [path for path, content in step.items() if content is not None and path not in files],
        [path for path, content in step.items() if content is not None and path in files],
        [path for path, content in step.items() if content is None],
    )


@pytest.fixture
def scene() -> Scene:
    """Return an empty repository, and the worker that knows nothing of it yet."""
    return Scene()
