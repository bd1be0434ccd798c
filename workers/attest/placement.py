"""Puts one attestation in its place, so that exactly one exists per (note, key id, digest).

Nothing outside can be fenced, so the claim only makes collisions rare; what makes them harmless is that whoever
created something in doubt looks again after the read lag and removes what is surplus. All keep the oldest by
(createTime, name). What is older than one's own creation is visible once the lag has passed, so whoever is not the
oldest learns of it, and nobody ever removes the oldest.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from workers.attest.rules import by_key, resource_uri, signature_payload, surplus
from workers.failures import Invalid, LeaseLost, NotYet, PermanentError, Unavailable
from workers.ports import (
    Attestation,
    Attestations,
    Attestor,
    Attestors,
    Clock,
    Json,
    Lease,
    Progress,
    PublicKey,
    ResolvedImage,
    SigningKeys,
)
from workers.signing import SigningRule

CREATING = "create"
"""The step that is marked before the first effect: a holder who never marked it has created nothing."""
REFUSED = "refused"
"""The step after a create that was certainly not done: who comes next need not doubt."""
CALL_SECONDS = 10.0
SHARE = 0.75
"""An answer must be here within this part of what is left of the lease: the rest is for clocks and for the way."""
SHORTEST_SECONDS = 0.2
"""A call that has less than this is not begun."""


@dataclass(frozen=True, slots=True)
class Order:
    """One attestation that shall exist."""

    image: ResolvedImage
    rule: SigningRule
    attestor: Attestor
    signer: str
    """Reference of the key that signs: the rule's, or its next one."""
    key: PublicKey
    """The attestor's entry for the signing key."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Carries out one order under a lease."""

    order: Order
    keys: SigningKeys
    attestors: Attestors
    attestations: Attestations
    clock: Clock
    progress: Progress

    async def place(self, lease: Lease) -> Json:
        """Find or make the attestation. Raises LeaseLost when too little of the lease is left to act."""
        in_doubt = lease.taken_over and lease.step == CREATING
        found = await self._settled(None) if in_doubt else await self.existing()
        if found is not None:
            return self._result(found, created=False)
        attestation = await self._signed(lease)
        await self._validated(attestation, lease)
        await lease.mark(CREATING)
        stored, failure = await self._stored(attestation, lease)
        if stored is None or in_doubt or lease.left() <= 0:
            stored = await self._settled(attestation) or stored
        if stored is None:
            raise failure or Unavailable(f"the attestation of {self.order.image.uri} was not stored; trying again")
        return self._result(stored, created=stored.signature == attestation.signature)

    async def existing(self) -> Attestation | None:
        """Return the oldest stored attestation that Binary Authorization accepts, if there is one."""
        async with self.progress.step("look for attestations"):
            async for attestation in self._verified(await self._found(), None):
                return attestation
        return None

    async def _found(self) -> tuple[Attestation, ...]:
        return await self.attestations.find(self.order.attestor.note, self.order.image.digest)

    async def _verified(self, found: tuple[Attestation, ...], own: Attestation | None) -> AsyncIterator[Attestation]:
        for attestation in by_key(found, self.order.key.id):
            if own is not None and attestation.signature == own.signature:
                yield attestation
                continue
            try:
                verdict = await self.attestors.validate(self.order.attestor.name, attestation, timeout=CALL_SECONDS)
            except Invalid as problem:
                self.progress.log(f"{attestation.name} does not count: {problem}")
                continue
            if verdict.result == "VERIFIED":
                yield attestation
            else:
                self.progress.log(f"{attestation.name} does not count, it is not verifiable: {verdict.reason}")

    async def _settled(self, own: Attestation | None) -> Attestation | None:
        """Wait out the read lag, keep the oldest attestation and remove the surplus. None when there is none."""
        async with self.progress.step("converge"):
            await self.clock.sleep(self.attestations.read_lag)
            found = await self._found()
            verified = [attestation async for attestation in self._verified(found, own)]
            if not verified:
                return None
            for attestation in surplus(verified, found):
                if attestation.name is not None:
                    self.progress.log(f"removing the surplus {attestation.name}, {verified[0].name} is older")
                    await self.attestations.delete(attestation.name)
            return verified[0]

    async def _signed(self, lease: Lease) -> Attestation:
        order = self.order
        async with self.progress.step("sign"):
            payload = signature_payload(order.image)
            signature = await self.keys.sign(order.signer, payload, timeout=_seconds(lease))
        return Attestation(
            note=order.attestor.note,
            resource_uri=resource_uri(order.image),
            payload=payload,
            key_id=order.key.id,
            signature=signature,
        )

    async def _validated(self, attestation: Attestation, lease: Lease) -> None:
        name = self.order.attestor.name
        async with self.progress.step("validate"):
            verdict = await self.attestors.validate(name, attestation, timeout=_seconds(lease))
            if verdict.result != "VERIFIED":
                raise Invalid(
                    f"attestor {name} would not accept the attestation of {self.order.image.uri} signed by"
                    f" {attestation.key_id}: {verdict.reason}; nothing was stored"
                )

    async def _stored(self, attestation: Attestation, lease: Lease) -> tuple[Attestation | None, Unavailable | None]:
        async with self.progress.step("store"):
            try:
                project = self.order.rule.occurrence_project
                return await self.attestations.create(project, attestation, timeout=_seconds(lease)), None
            except Unavailable as failure:
                # The answer is lost, not necessarily the work: only another look can tell.
                self.progress.log(f"whether the attestation was stored is unknown: {failure}")
                return None, failure
            except (NotYet, PermanentError):
                await lease.mark(REFUSED)
                raise

    def _result(self, attestation: Attestation, *, created: bool) -> Json:
        return {"occurrence": attestation.name, "attestor": self.order.attestor.name, "created": created}


def _seconds(lease: Lease) -> float:
    seconds = lease.left() * SHARE
    if seconds < SHORTEST_SECONDS:
        raise LeaseLost("the lease on this image is about to end: somebody else may go on with it, so nothing is begun")
    return min(CALL_SECONDS, seconds)
