"""Keeps the calls of a worker to the rate that the outside admits, and says when they go on.

Whoever comes too early waits here, in its place, instead of asking in vain and coming back with everybody else: what
is admitted is used, what waits stays on the bus.
"""

from datetime import timedelta

from workers.failures import QuotaExhausted
from workers.ports import Attestation, Attestor, Attestors, Clock, Progress, Rates, Verdict

VALIDATE = "binaryauthorization.validate"
"""The rate of ValidateAttestationOccurrence."""
LONGEST_WAIT = timedelta(minutes=2)
"""A turn that is further away is waited for on the bus."""


class PacedAttestors:
    """The port Attestors, at the rate that Binary Authorization admits."""

    def __init__(self, attestors: Attestors, rates: Rates, clock: Clock, progress: Progress) -> None:
        self._attestors = attestors
        self._rates = rates
        self._clock = clock
        self._progress = progress

    async def get(self, name: str) -> Attestor:
        """See workers.ports.Attestors: cached, so it needs no pace."""
        return await self._attestors.get(name)

    async def validate(self, attestor: str, attestation: Attestation, *, timeout: float) -> Verdict:
        """See workers.ports.Attestors; waits for its turn first, and for another one after a refusal.

        Raises QuotaExhausted when the turn is far away, or when it was refused although it was its turn.
        """
        await self._wait()
        try:
            return await self._attestors.validate(attestor, attestation, timeout=timeout)
        except QuotaExhausted as failure:
            await self._rates.refused(VALIDATE, failure)
        await self._wait()
        return await self._attestors.validate(attestor, attestation, timeout=timeout)

    async def _wait(self) -> None:
        wait = await self._rates.turn(VALIDATE, within=LONGEST_WAIT)
        if wait:
            at = (self._clock.now() + wait).strftime("%H:%M:%S")
            self._progress.log(f"Binary Authorization limits the rate of validations: it is our turn at {at} UTC")
            async with self._progress.step("wait for our turn"):
                await self._clock.sleep(wait)
