"""Consumes `image.pushed`: resolves the digest, signs it for every rule that matches, emits `image.attested`."""

from collections.abc import AsyncIterator

from schemas.images import ImageAttested, ImagePushed, split_reference
from workers.attest.keys import signing_key
from workers.attest.placement import Order, Placement
from workers.attest.rules import claim_key
from workers.failures import Invalid, Mismatch, PermanentError, SealaneError
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
from workers.signing import SigningRule, SigningRules


async def attest(
    event: ImagePushed,
    images: Images,
    keys: SigningKeys,
    attestors: Attestors,
    attestations: Attestations,
    claims: Claims,
    rules: SigningRules,
    clock: Clock,
    progress: Progress,
) -> AsyncIterator[ImageAttested]:
    """Attest the image for every rule that matches; one rule's failure does not hold up the others."""
    async with progress.step("resolve digest"):
        image = await _resolved(event, images)
    matching = rules.matching(image.host, image.path)
    if not matching:
        progress.log(f"not signed: no signing rule matches {image.repository}")
    failures: list[SealaneError] = []
    for rule in matching:
        try:
            async with progress.step("read attestor and key"):
                order = await _order(image, rule, keys, attestors)
            placement = Placement(order, keys, attestors, attestations, clock, progress)
            attested = await _attested(event, order, placement, claims)
        except SealaneError as failure:
            progress.log(f"{rule.attestor}: {failure}")
            failures.append(failure)
        else:
            yield attested
    if failures:
        raise next((failure for failure in failures if not isinstance(failure, PermanentError)), failures[0])


async def _resolved(event: ImagePushed, images: Images) -> ResolvedImage:
    """Return what the registry holds; what the event says must agree with it. Raises Mismatch."""
    *_, pinned = split_reference(event.image)
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


async def _order(image: ResolvedImage, rule: SigningRule, keys: SigningKeys, attestors: Attestors) -> Order:
    attestor = await attestors.get(rule.attestor)
    key = await signing_key(rule, attestor, keys)
    return Order(image, rule, attestor, key.reference, key.listed)


async def _attested(event: ImagePushed, order: Order, placement: Placement, claims: Claims) -> ImageAttested:
    image, attestor, key = order.image, order.attestor, order.key
    ours = False

    async def work(lease: Lease) -> Json:
        nonlocal ours
        result = await placement.place(lease)
        ours = bool(result["created"])
        return result

    result = await claims.once(claim_key(attestor.note, key.id, image.digest), work)
    occurrence = str(result["occurrence"])
    if result["attestor"] != attestor.name:
        # Two attestors may read one note: what the other accepted must be accepted by this one, too.
        found = await placement.existing()
        if found is None:
            raise Invalid(f"attestor {attestor.name} does not accept {occurrence}, which {result['attestor']} accepts")
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
        seen=event.seen,
    )
