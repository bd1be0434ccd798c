"""Consumes `image.pushed`: resolves the digest, signs what the rules want of it, emits `image.attested`.

Consumes `attestation.requested` as well: signs again, with the next key, what is admitted already.
"""

from collections.abc import AsyncIterator

from schemas.attestors import AttestationRequested
from schemas.envelope import Envelope
from schemas.images import ImageAttested, ImagePushed, split_reference
from workers.attest.resigning import sign_again
from workers.attest.signer import Outcome, Signer
from workers.attest.targets import planned
from workers.failures import Mismatch, PermanentError
from workers.manifests import artifact_of_tag
from workers.pacing import PacedAttestors
from workers.ports import (
    Attestations,
    Attestors,
    Claims,
    Clock,
    Images,
    Progress,
    Rates,
    ResolvedImage,
    SigningKeys,
)
from workers.signing import Publication, SigningRules


async def attest(
    event: ImagePushed | AttestationRequested,
    envelope: Envelope,
    images: Images,
    keys: SigningKeys,
    attestors: Attestors,
    attestations: Attestations,
    claims: Claims,
    rates: Rates,
    rules: SigningRules,
    clock: Clock,
    progress: Progress,
) -> AsyncIterator[ImageAttested]:
    """Attest the image, an index with every platform, for every rule that wants it.

    What is no image (a signature, an SBOM, …) is left alone, visibly. One rule's or one platform's failure does not
    hold up the others.
    """
    paced = PacedAttestors(attestors, rates, clock, progress)
    signer = Signer(images, keys, paced, attestations, claims, clock, progress)
    if isinstance(event, AttestationRequested):
        outcome = await sign_again(event, signer, rules)
    else:
        outcome = await _sign(event, envelope, signer, rules)
    for attested in outcome.attested:
        yield attested
    if failures := outcome.failures:
        raise next((failure for failure in failures if not isinstance(failure, PermanentError)), failures[0])


async def _sign(event: ImagePushed, envelope: Envelope, signer: Signer, rules: SigningRules) -> Outcome:
    """Sign a pushed image, if it is one."""
    progress = signer.progress
    _, _, tag, pinned = split_reference(event.image)
    if (kept := artifact_of_tag(tag)) is not None:
        progress.log(f"not signed: {event.image} is {kept}, as its tag says")
        return Outcome()
    async with progress.step("resolve digest"):
        image = await _resolved(event, pinned, signer.images)
    if image.manifest.artifact is not None:
        progress.log(f"not signed: {image.uri} is {image.manifest.artifact}")
        return Outcome()
    plan = planned(image, rules, Publication(envelope.actor, event.environment, event.labels))
    for sentence in (*plan.skipped, *map(str, plan.failures)):
        progress.log(sentence)
    outcome = await signer.sign(image, plan.targets) if plan.targets else Outcome()
    attested = [one.model_copy(update={"seen": event.seen}) for one in outcome.attested]
    return Outcome(attested, [*outcome.failures, *plan.failures])


async def _resolved(event: ImagePushed, pinned: str | None, images: Images) -> ResolvedImage:
    """Return what the registry holds; what the event says must agree with it. Raises Mismatch."""
    if event.digest and pinned and event.digest != pinned:
        raise Mismatch(
            f"the event names two digests: {pinned} in {event.image} and {event.digest} beside it; publish the one"
            " which was pushed"
        )
    image = await images.resolve(event.image)
    if event.digest and event.digest != image.digest:
        raise Mismatch(
            f"{event.image} is {image.digest} in the registry, but the event says {event.digest}: the tag moved or the"
            " publisher is wrong; publish the event again with the digest that shall be signed"
        )
    return image
