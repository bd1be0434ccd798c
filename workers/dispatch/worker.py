"""Consumes `github.pushed` and `github.package_published`: emits what their paths and packages mean."""

from datetime import timedelta

from schemas.certificates import CertificateExpiring
from schemas.envelope import Envelope
from schemas.github import GithubPackagePublished, GithubPushed
from schemas.images import ImagePushed
from schemas.tenants import TenantOffboarded, TenantOnboarded
from workers.dispatch.declarations import declared
from workers.dispatch.packages import image_of
from workers.dispatch.position import Place, Step
from workers.dispatch.reading import Reading
from workers.github_rules import GithubSettings
from workers.ports import Claims, Clock, Github, Json, Lease, Progress

_MOST_NAMED = 5
_REPLAYED_WITHIN = timedelta(days=90)
"""As long as a dead letter waits: a push that became one after its place was taken is decided no second time."""


async def dispatch(
    event: GithubPushed | GithubPackagePublished,
    envelope: Envelope,
    github: Github,
    claims: Claims,
    settings: GithubSettings,
    clock: Clock,
    progress: Progress,
) -> list[TenantOnboarded | TenantOffboarded | CertificateExpiring | ImagePushed]:
    """Emit what follows from what GitHub says, by the rules; nothing when no rule is about it."""
    if isinstance(event, GithubPackagePublished):
        image = image_of(event, settings)
        if isinstance(image, ImagePushed):
            return [image]
        progress.log(f"no image follows: {image}")
        return []
    rules = settings.rules_for(event.repository_id, event.ref)
    if not rules:
        progress.log(f"no rule is about {event.ref} of repository {event.repository_id} ({event.repository})")
        return []
    reading = Reading(event, envelope, settings, github, clock, progress)

    async def decide(_: Lease) -> Json:
        return (await reading.decide(Place.read(lease.kept))).as_json()

    # Pushes of one ref take turns. What was decided is remembered for the push itself: should this process end before
    # the events are stored, the repeat finds the same commits, though the place has moved on.
    async with claims.lease(f"ref|{event.repository_id}|{event.ref}") as lease:
        step = Step.read(await claims.once(f"push|{envelope.message_id}", decide, under=lease, kept=_REPLAYED_WITHIN))
        progress.log(step.why)
        seen = await reading.look(step)
        moved = step.moved(Place.read(lease.kept))
        if moved is not None:
            await lease.keep(moved.as_json())
    found = declared(rules, seen, event, step)
    for path in found.refused[:_MOST_NAMED]:
        progress.log(f"not taken: {path!a} is nearly what a rule asks for, but its names are not a-z, 0-9 and `-`")
    if len(found.refused) > _MOST_NAMED:
        progress.log(f"not taken: {len(found.refused) - _MOST_NAMED} further paths like these")
    return [*found.events]
