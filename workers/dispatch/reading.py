"""Asks GitHub where a push itself does not say enough: where the ref is, and what is there."""

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from schemas.envelope import Envelope
from schemas.github import GithubPushed, NetChange
from workers.dispatch.declarations import Seen, difference, touches_removed
from workers.dispatch.position import Place, Step, already_taken, by_lists, by_trees, ends
from workers.failures import NotFound, NotYet
from workers.github_rules import GithubSettings
from workers.ports import Clock, Github, Progress
from workers.ports.github import Repository

READ_LAG = timedelta(minutes=1)
"""For so long after a push GitHub's API may still answer as it was before."""
_LOOK_AGAIN = timedelta(seconds=5)


class Reading:
    """One push, and what is asked because of it."""

    def __init__(
        self,
        push: GithubPushed,
        envelope: Envelope,
        settings: GithubSettings,
        github: Github,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._push = push
        self._progress = progress
        self._listed = NetChange(push.added, push.modified, push.removed)
        self._rules = settings.rules_for(push.repository_id, push.ref)
        self._asks = settings.app_id is not None
        self._github = github
        self._repository = Repository(push.repository_id, push.installation_id)
        age = clock.now() - (push.pushed_at or _time(envelope) or clock.now() - READ_LAG)
        self._young = age < READ_LAG

    async def decide(self, place: Place | None) -> Step:
        """Decide from which commit to which the push is taken. Raises NotYet while GitHub may not know it yet."""
        removes = touches_removed(self._rules, self._listed)
        step = by_lists(self._push, place, removes=removes, asks=self._asks) or already_taken(self._push, place)
        if step is not None:
            return step
        head = await self._github.head(self._repository, self._push.ref)
        if self._young and not await self._is_current(head):
            raise NotYet(f"GitHub's API does not show this push of {self._push.ref} yet", after=_LOOK_AGAIN)
        return by_trees(self._push, place, head, earlier=await self._is_earlier(place))

    async def look(self, step: Step) -> Seen:
        """Return what the step is about."""
        if step.how == "nothing":
            return Seen(NetChange((), (), ()))
        if step.how == "lists":
            return Seen(self._listed)
        folders = frozenset(rule.folder for rule in self._rules)
        change, after = await self._change(step.base, step.head, folders)
        if step.late is None and not step.was_gone and not touches_removed(self._rules, change):
            return Seen(change)
        late = None if step.late is None else (await self._change(*step.late, folders))[0]
        if after is None:
            after = await self._files(step.head, folders)
        return Seen(change, after, difference({}, after) if step.was_gone else None, late)

    async def _change(
        self, base: str | None, head: str | None, folders: AbstractSet[str]
    ) -> tuple[NetChange, dict[str, str] | None]:
        """Return what changed, and the files at `head` where they had to be listed for it."""
        change = await self._compared(base, head)
        if change is not None:
            return change, None
        after = await self._files(head, folders)
        return difference(await self._files_before(base, folders), after), after

    async def _is_current(self, head: str | None) -> bool:
        """Whether what the API says of the ref is no older than the push."""
        before, after = ends(self._push)
        if after is None or head is None:
            # Gone by now, or there again; only what was there before the push can be old.
            return head != before if after is None else False
        if head == after or not self._push.ref.startswith("refs/heads/"):
            return True
        try:
            return (await self._github.compare(self._repository, after, head)).status in {"ahead", "identical"}
        except NotFound:
            return False

    async def _is_earlier(self, place: Place | None) -> bool:
        """Whether the push begins before all that was taken of the ref."""
        before, _ = ends(self._push)
        if place is None or place.since is None or before in {place.seen, place.since}:
            return False
        if before is None:
            return not place.gone
        try:
            return (await self._github.compare(self._repository, before, place.since)).status == "ahead"
        except NotFound:
            return False

    async def _compared(self, base: str | None, head: str | None) -> NetChange | None:
        """Return the change as GitHub compares the commits, where that is the whole of it."""
        if base is None or head is None:
            return None
        try:
            comparison = await self._github.compare(self._repository, base, head)
        except NotFound:
            return None
        # Of any other pair the comparison begins at the common ancestor, not at the base.
        return comparison.change if comparison.status == "ahead" else None

    async def _files(self, commit: str | None, folders: AbstractSet[str]) -> dict[str, str]:
        return {} if commit is None else dict(await self._github.files(self._repository, commit, folders))

    async def _files_before(self, commit: str | None, folders: AbstractSet[str]) -> dict[str, str]:
        try:
            return await self._files(commit, folders)
        except NotFound:
            # A forced push left it behind, and GitHub has cleaned up since.
            self._progress.log(f"{commit} is not there any more: all files count as new, and none as removed")
            return {}


def _time(envelope: Envelope) -> datetime | None:
    try:
        return None if envelope.time is None else datetime.fromisoformat(envelope.time)
    except ValueError:
        return None
