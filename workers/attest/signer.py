"""Signs what was planned: every target by every rule that wants it, several targets at a time, each under its claim."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from schemas.images import ImageAttested
from workers.attest.keys import signing_key
from workers.attest.placement import Order, Placement
from workers.attest.rules import claim_key
from workers.attest.targets import Target, nested
from workers.failures import Invalid, NotFound, SealaneError
from workers.manifests import Child
from workers.ports import (
    Attestations,
    Attestors,
    Claims,
    Clock,
    Images,
    Json,
    Lease,
    Progress,
    ResolvedImage,
    SigningKeys,
)
from workers.signing import SigningRule

AT_ONCE = 4
"""Targets of one image that are signed at the same time."""
_Work = TypeVar("_Work")


@dataclass(slots=True)
class Outcome:
    """What became of targets: facts and failures, in the order of the targets."""

    attested: list[ImageAttested] = field(default_factory=list)
    failures: list[SealaneError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with these ports."""

    images: Images
    keys: SigningKeys
    attestors: Attestors
    attestations: Attestations
    claims: Claims
    clock: Clock
    progress: Progress

    async def sign(self, image: ResolvedImage, targets: Sequence[Target]) -> Outcome:
        """Sign all targets of an image; one's failure does not hold up the others."""
        alone = len(targets) == 1

        async def signed(target: Target) -> Outcome:
            progress = self.progress if alone else PartProgress(self.progress, target.name)
            return await replace(self, progress=progress)._target(image, target)  # noqa: SLF001 - our own

        whole = Outcome()
        for part in await _at_once(signed, targets):
            whole.attested += part.attested
            whole.failures += part.failures
        return whole

    async def _target(self, image: ResolvedImage, target: Target) -> Outcome:
        outcome = Outcome()
        try:
            signed = image if target.child is None else await self._child(image, target.child)
        except SealaneError as failure:
            self.progress.log(str(failure))
            return Outcome(failures=[failure])
        if signed is None:
            return outcome
        for rule in target.rules:
            try:
                attested = await self._attested(signed, rule)
            except SealaneError as failure:
                self.progress.log(f"{rule.attestor}: {failure}")
                outcome.failures.append(failure)
            else:
                if target.child is not None:
                    found = {"index": image.digest, "platform": target.child.platform}
                    attested = attested.model_copy(update=found)
                outcome.attested.append(attested)
        return outcome

    async def _child(self, index: ResolvedImage, child: Child) -> ResolvedImage | None:
        """Return the image of a platform, None if it is no image. Raises NotFound when the index promises too much."""
        async with self.progress.step("resolve digest"):
            try:
                found = await self.images.resolve(f"{index.repository}@{child.digest}")
            except NotFound:
                raise NotFound(
                    f"the index {index.uri} names {child.digest} for {child.platform or 'no platform'}, which"
                    f" {index.host} does not hold: push all platforms, as in `skopeo copy --all`, or leave it out with"
                    " `platforms` in the signing rule"
                ) from None
        if found.manifest.is_index:
            raise nested(index, child)
        if found.manifest.artifact is not None:
            self.progress.log(f"not signed: {found.uri} is {found.manifest.artifact}")
            return None
        return found

    async def _attested(self, image: ResolvedImage, rule: SigningRule) -> ImageAttested:
        async with self.progress.step("read attestor and key"):
            attestor = await self.attestors.get(rule.attestor)
            chosen = await signing_key(rule, attestor, self.keys)
        order, key = Order(image, rule, attestor, chosen.reference, chosen.listed), chosen.listed
        placement = Placement(order, self.keys, self.attestors, self.attestations, self.clock, self.progress)
        ours = False

        async def work(lease: Lease) -> Json:
            nonlocal ours
            result = await placement.place(lease)
            ours = bool(result["created"])
            return result

        result = await self.claims.once(claim_key(attestor.note, key.id, image.digest), work)
        occurrence, other = str(result["occurrence"]), result["attestor"]
        if other != attestor.name:
            # Two attestors may read one note: what the other accepted must be accepted by this one, too.
            found = await placement.existing()
            if found is None:
                raise Invalid(f"attestor {attestor.name} does not accept {occurrence}, which {other} accepts")
            occurrence = str(found.name)
        return ImageAttested(
            image=image.uri,
            digest=image.digest,
            tag=image.tag,
            attestor=attestor.name,
            note=attestor.note,
            occurrence=occurrence,
            key_id=key.id,
            algorithm=key.algorithm,
            verdict="VERIFIED",
            created=ours,
        )


@dataclass(frozen=True, slots=True)
class PartProgress:
    """The port Progress for one of several parts: each step and line says whose it is."""

    whole: Progress
    part: str

    def step(self, name: str) -> AbstractAsyncContextManager[None]:
        """Announce a step of this part."""
        return self.whole.step(f"{self.part}: {name}")

    def log(self, message: str) -> None:
        """Say one line of this part."""
        self.whole.log(f"{self.part}: {message}")


async def _at_once(work: Callable[[_Work], Awaitable[Outcome]], items: Sequence[_Work]) -> list[Outcome]:
    """Do the work on all items, few at a time; what is raised ends all of it."""
    if len(items) == 1:
        return [await work(items[0])]
    places = asyncio.Semaphore(AT_ONCE)

    async def placed(item: _Work) -> Outcome:
        async with places:
            return await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(placed(item)) for item in items]
    except BaseExceptionGroup as several:
        # The bus judges what went wrong, not that it went wrong among others.
        raise several.exceptions[0] from None
    return [task.result() for task in tasks]
