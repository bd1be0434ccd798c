"""Consumes `attestor.rotate`: asks for attestations by the new key until all are there, emits `attestor.rotated`."""

from collections.abc import AsyncIterator

from schemas.attestors import AttestationRequested, AttestorRotate, AttestorRotated
from schemas.envelope import Envelope
from workers.failures import NotYet
from workers.pacing import PacedAttestors
from workers.ports import (
    Attestations,
    AttestorAdmin,
    Attestors,
    Claims,
    Clock,
    Progress,
    Rates,
    SigningKeys,
)
from workers.rekey.rotation import Rotation
from workers.rotation import RotationPace
from workers.signing import SigningRules


async def rekey(
    event: AttestorRotate,
    envelope: Envelope,
    admin: AttestorAdmin,
    keys: SigningKeys,
    attestors: Attestors,
    attestations: Attestations,
    claims: Claims,
    rates: Rates,
    rules: SigningRules,
    pace: RotationPace,
    clock: Clock,
    progress: Progress,
) -> AsyncIterator[AttestationRequested | AttestorRotated]:
    """Go on with the rotation of an attestor's signing key, from wherever it is.

    Rotations of one attestor take turns and share what they wrote down, so a second one joins the first.
    """
    paced = PacedAttestors(attestors, rates, clock, progress)
    rotation = Rotation(event, admin, keys, paced, attestations, rules, pace, clock, progress)
    async with claims.lease(event.attestor) as lease:
        # Its own claim: when this event comes again after its end, it gets the result that it had.
        own = f"{event.attestor}|{envelope.message_id}"
        try:
            result = await claims.once(own, lambda _: rotation.go_on(lease))
        except NotYet:
            for image in rotation.requests:
                yield AttestationRequested(image=image, attestor=event.attestor)
            raise
    yield AttestorRotated.model_validate(dict(result), strict=False)
