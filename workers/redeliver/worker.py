"""Woken by a clock: lists deliveries since the last look, and asks again for those that failed and are due."""

from datetime import datetime

from workers.failures import NotFound
from workers.github_rules import GithubSettings
from workers.ports import Claims, Clock, Deliveries, Progress
from workers.ports.github import Delivery
from workers.redeliver.rules import KEPT, OVERLAP, due, horizon, stories

MOST_LISTED = 10_000
"""Attempts that one look goes through."""
MOST_ASKED = 200
"""Deliveries that one look asks for again."""


async def redeliver(
    deliveries: Deliveries, claims: Claims, settings: GithubSettings, clock: Clock, progress: Progress
) -> None:
    """Ask for what failed. Does nothing where no GitHub App is set.

    A repeat is harmless: an attempt that was asked for is in GitHub's list at the next look, and the door knows a body
    that it has taken already.
    """
    if not deliveries.configured:
        return
    async with claims.lease("look") as lease:
        now = clock.now()
        oldest = now - KEPT
        since = datetime.fromisoformat(lease.kept["since"]) - OVERLAP if lease.kept else oldest
        listed: list[Delivery] = []
        async for attempt in deliveries.attempts():
            if attempt.delivered_at < max(since, oldest) or len(listed) >= MOST_LISTED:
                break
            listed.append(attempt)
        if len(listed) >= MOST_LISTED:
            progress.log(f"more than {MOST_LISTED} deliveries since {since:%Y-%m-%d %H:%M}: the oldest are not seen")
        told = stories(listed)
        asked = 0
        for story in due(told, now, settings.redeliveries)[:MOST_ASKED]:
            try:
                await deliveries.redeliver(story.last.id)
                asked += 1
            except NotFound:
                progress.log(f"delivery {story.last.guid} is forgotten by GitHub")
        await lease.keep({"since": horizon(told, now, settings.redeliveries).isoformat()})
    failed = sum(story.failing for story in told)
    progress.log(f"{len(told)} deliveries seen, {failed} of them failing, {asked} asked for again")
