"""Everything that the worker needs, in memory, and ways to break it at every border."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from schemas.envelope import Envelope
from schemas.images import ImageAttested, ImagePushed
from tests.fakes.attestations import FakeAttestations
from tests.fakes.attestors import FakeAttestors
from tests.fakes.claims import FakeClaims
from tests.fakes.clock import FakeClock
from tests.fakes.images import FakeImages
from tests.fakes.progress import FakeProgress
from tests.fakes.rates import FakeRates
from tests.fakes.signing_keys import FakeSigningKeys
from workers.attest.worker import attest
from workers.failures import TemporaryError
from workers.local.registry import build_image
from workers.ports import Attestation, Attestor, Lease, PublicKey
from workers.signing import SigningRules

SHOP = build_image([{"etc/name": b"shop"}])
MANIFEST = SHOP.manifest
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
OTHER_DIGEST = "sha256:" + "b" * 64
ATTESTOR = "projects/acme/attestors/ci"
NOTE = "projects/acme/notes/ci"
KEY = "projects/acme/locations/europe/keyRings/ci/cryptoKeys/signer/cryptoKeyVersions/1"
KEY_ID = f"//cloudkms.googleapis.com/v1/{KEY}"
IMAGE = "europe-docker.pkg.dev/acme/apps/shop:1.4.2"
REPOSITORY = "europe-docker.pkg.dev/acme/apps/shop"


def rule(match: str = "europe-docker.pkg.dev/acme/**", attestor: str = ATTESTOR, key: str = KEY) -> dict[str, str]:
    """Return one signing rule as JSON has it."""
    return {"match": match, "attestor": attestor, "key": key}


def envelope(actor: str | None = None) -> Envelope:
    """Return the envelope of an event that somebody published."""
    return Envelope(id="1", source="/tests", type=ImagePushed.event_type, run="run", actor=actor)


class Crash(BaseException):
    """The process died here. Nothing catches it, no clean-up counts."""


class Border:
    """Sees every call to the outside, in order, and may break one: before it is made, or after it was done."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.break_at: dict[int, tuple[str, Callable[[], BaseException]]] = {}
        self.before: dict[str, Callable[[], Any]] = {}
        self.chance: Random | None = None
        """Makes calls take a varying number of turns, there and back."""

    def guard(self, port: Any, name: str) -> Any:
        """Return the port behind this border."""
        return _Guarded(port, name, self)

    def count(self, name: str) -> int:
        """Return how often it was called."""
        return self.calls.count(name)

    async def cross(self, name: str, call: Callable[[], Any]) -> Any:
        """Make one call to the outside, or break."""
        number = len(self.calls)
        self.calls.append(name)
        when, failure = self.break_at.pop(number, ("never", Crash))
        hook = self.before.pop(name, None)
        if hook is not None:
            await hook()
        if when == "before":
            raise failure()
        await self._dawdle()
        result = await call()
        await self._dawdle()
        if when == "after":
            raise failure()
        return result

    async def _dawdle(self) -> None:
        for _ in range(self.chance.randrange(8) if self.chance else 0):
            await asyncio.sleep(0)


class _Guarded:
    def __init__(self, port: Any, name: str, border: Border) -> None:
        self._port = port
        self._name = name
        self._border = border

    def __getattr__(self, attribute: str) -> Any:
        member = getattr(self._port, attribute)
        if not callable(member):
            return member

        async def crossing(*arguments: Any, **named: Any) -> Any:
            return await self._border.cross(f"{self._name}.{attribute}", lambda: member(*arguments, **named))

        return crossing


class GuardedClaims:
    """Claims whose leases are behind the border too. A crash leaves the claim with its dead owner."""

    def __init__(self, claims: FakeClaims, border: Border) -> None:
        self._claims = claims
        self._border = border

    def lease(self, key: str) -> AbstractAsyncContextManager[Lease]:
        """Hold a key; nothing breaks here."""
        return self._claims.lease(key)

    async def once(self, key: str, work: Any, **how: Any) -> Any:
        """Do the work with a lease whose marks may break."""

        async def guarded(lease: Any) -> Any:
            try:
                return await work(_MarkGuard(lease, self._border))
            except Crash:
                await self._claims.silence()
                raise

        return await self._border.cross("claims.once", lambda: self._claims.once(key, guarded, **how))


class _MarkGuard:
    def __init__(self, lease: Any, border: Border) -> None:
        self._lease = lease
        self._border = border

    async def mark(self, step: str) -> None:
        await self._border.cross("lease.mark", lambda: self._lease.mark(step))

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._lease, attribute)


@dataclass
class World:
    """The worker's ports, wired to each other: one image, one attestor, one key."""

    clock: FakeClock = field(default_factory=FakeClock)
    images: FakeImages = field(default_factory=lambda: FakeImages("europe-docker.pkg.dev"))
    keys: FakeSigningKeys = field(default_factory=FakeSigningKeys)
    attestors: FakeAttestors = field(default_factory=FakeAttestors)
    claims: FakeClaims = field(default_factory=FakeClaims)
    rates: FakeRates = field(default_factory=FakeRates)
    progress: FakeProgress = field(default_factory=FakeProgress)
    rules: SigningRules = field(default_factory=lambda: SigningRules.model_validate([rule()]))
    border: Border = field(default_factory=Border)
    actor: str | None = "ci@acme.example"
    """Who publishes."""
    attestations: FakeAttestations = field(init=False)
    attestor: Attestor = field(init=False)

    def __post_init__(self) -> None:
        """Push the image, make the key and list it with the attestor."""
        self.attestations = FakeAttestations(self.clock)
        self.images.put(REPOSITORY, "1.4.2", MANIFEST)
        public = self.keys.add(KEY)
        self.attestor = self.attestors.add(ATTESTOR, NOTE, PublicKey(KEY_ID, public.algorithm, public.pem))

    async def attest(self, event: ImagePushed | None = None) -> list[ImageAttested]:
        """Handle the event once, with every port behind the border."""
        guard = self.border.guard
        generator = attest(
            event or ImagePushed(image=IMAGE),
            envelope(self.actor),
            guard(self.images, "images"),
            guard(self.keys, "keys"),
            guard(self.attestors, "attestors"),
            guard(self.attestations, "attestations"),
            GuardedClaims(self.claims, self.border),
            self.rates,
            self.rules,
            self.clock,
            self.progress,
        )
        return [attested async for attested in generator]

    async def redeliver(self, event: ImagePushed | None = None, attempts: int = 30) -> list[ImageAttested]:
        """Handle the event until it succeeds, as the bus does: crashes and temporary failures come back."""
        for _ in range(attempts):
            try:
                return await self.attest(event)
            except (TemporaryError, Crash):
                await asyncio.sleep(0)
        raise AssertionError(f"still failing after {attempts} deliveries")

    async def store(self, attestation: Attestation) -> Attestation:
        """Put an attestation where it was long ago."""
        stored = await self.attestations.create("projects/acme", attestation, timeout=1)
        self.clock.time += 2 * self.attestations.read_lag
        return stored

    async def made_by_gcloud(self, key: str = KEY, key_id: str = KEY_ID, payload: bytes | None = None) -> Attestation:
        """Return an attestation as gcloud would store it: compact payload, resource without a scheme."""
        if payload is None:
            payload = (
                f'{{"critical":{{"identity":{{"docker-reference":"{REPOSITORY}"}},"image":{{"docker-manifest-digest":'
                f'"{DIGEST}"}},"type":"Google cloud binauthz container signature"}}}}'
            ).encode()
        signature = await self.keys.sign(key, payload, timeout=1)
        self.keys.signed.clear()
        return Attestation(NOTE, f"{REPOSITORY}@{DIGEST}", payload, key_id, signature)
