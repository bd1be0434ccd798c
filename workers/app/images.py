"""What a command needs to attest or verify an image at once: the clouds, and the claim if there is a bus."""

import math
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from workers.app.clouds import Clouds
from workers.app.connecting import open_bus
from workers.app.environment import load_settings
from workers.attest.placement import CREATING
from workers.bus.claims.claims import NatsClaims
from workers.bus.claims.rates import NatsRates
from workers.bus.topology.permissions import OPERATOR
from workers.bus.transport.publisher import Publisher
from workers.failures import Denied, NotFound, QuotaExhausted, Unavailable
from workers.ports import (
    Attestations,
    Attestors,
    Claims,
    Clock,
    ImageInventory,
    Images,
    Json,
    Lease,
    Rates,
    SigningKeys,
)
from workers.settings import Settings
from workers.signing import SigningRules

_UNSHARED = (
    "; going on without the claim that keeps two signers apart, which takes longer: what is there is looked at twice"
)


@dataclass(frozen=True, slots=True)
class ImagePorts:
    """The ports of the worker `attest`, for one command."""

    images: Images
    keys: SigningKeys
    attestors: Attestors
    attestations: Attestations
    claims: Claims
    rates: Rates
    clock: Clock
    rules: SigningRules
    project: str
    warning: str | None = None
    """Why the claim is not shared with the workers, if it is not."""


class UnsharedLease:
    """A lease that nobody else knows of: so it begins in doubt, and what is done under it is settled afterwards."""

    attempt = 2
    step: str | None = CREATING
    kept: Json | None = None
    taken_over = True

    def left(self) -> float:
        """Return for ever: nobody takes over what nobody knows."""
        return math.inf

    async def mark(self, step: str) -> None:
        """Remember nothing."""
        del step

    async def keep(self, value: Json) -> None:
        """Leave nothing."""
        del value


class UnsharedClaims:
    """Claims without a bus: nobody is kept away, nothing is remembered."""

    async def once(
        self,
        key: str,
        work: Callable[[Lease], Awaitable[Json]],
        *,
        under: Lease | None = None,
        kept: timedelta | None = None,
    ) -> Json:
        """Do the work."""
        del key, under, kept
        return await work(UnsharedLease())

    def lease(self, key: str) -> AbstractAsyncContextManager[Lease]:
        """Hold nothing."""
        del key
        return _unshared()


class UnsharedRates:
    """Rates without a bus: one image needs no pace, and nobody is told of a refusal."""

    async def turn(self, name: str, *, within: timedelta) -> timedelta:
        """Go at once."""
        del name, within
        return timedelta(0)

    async def refused(self, name: str, failure: QuotaExhausted) -> None:
        """Tell nobody."""
        del name, failure


@asynccontextmanager
async def _unshared() -> AsyncIterator[Lease]:
    yield UnsharedLease()


@asynccontextmanager
async def image_inventory(data: Path | None = None) -> AsyncIterator[ImageInventory]:
    """Open the port that lists what repositories hold."""
    async with Clouds(load_settings(data)) as clouds:
        yield await clouds.port(ImageInventory)


@asynccontextmanager
async def image_ports(data: Path | None = None, *, claiming: bool = False) -> AsyncIterator[ImagePorts]:
    """Open the ports; with `claiming`, the claim is the workers' own where the bus can be reached."""
    settings = load_settings(data)
    async with AsyncExitStack() as stack:
        clouds = await stack.enter_async_context(Clouds(settings))
        claims, rates, warning = (
            await shared_claims(settings, stack) if claiming else (UnsharedClaims(), UnsharedRates(), None)
        )
        yield ImagePorts(
            images=await clouds.port(Images),
            keys=await clouds.port(SigningKeys),
            attestors=await clouds.port(Attestors),
            attestations=await clouds.port(Attestations),
            claims=claims,
            rates=rates,
            clock=await clouds.port(Clock),
            rules=settings.signing_rules,
            project=settings.project,
            warning=None if warning is None else f"{warning}{_UNSHARED}",
        )


async def shared_claims(settings: Settings, stack: AsyncExitStack) -> tuple[Claims, Rates, str | None]:
    """Return the claims and rates of the worker `attest`, or lonely ones and why the bus cannot be reached."""
    if "nats" not in settings.model_fields_set:
        return UnsharedClaims(), UnsharedRates(), "no bus is configured (SEALANE_NATS)"
    try:
        connection = await open_bus(settings, OPERATOR)
    except (Unavailable, Denied, NotFound) as problem:
        return UnsharedClaims(), UnsharedRates(), str(problem)
    stack.push_async_callback(connection.close)
    publisher = Publisher(connection)
    await publisher.start()
    stack.push_async_callback(publisher.close)
    owner = f"sealane attest on {socket.gethostname()}-{os.getpid()}"
    ttl = settings.retention.claims_age
    claims = NatsClaims(connection, publisher, "attest", lease=settings.lease, owner=owner, done_ttl=ttl)
    return claims, NatsRates(connection, publisher, "attest"), None
