"""An attestor whose key is to be replaced, in memory: `rekey` and `attest` work on the same ports."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from schemas.attestors import AttestationRequested, AttestorRotate, AttestorRotated
from schemas.envelope import Envelope
from schemas.images import ImageAttested
from tests.attest.world import Border, Crash, GuardedClaims
from tests.fakes.attestations import FakeAttestations
from tests.fakes.attestor_admin import FakeAttestorAdmin
from tests.fakes.attestors import FakeAttestors
from tests.fakes.claims import FakeClaims
from tests.fakes.clock import FakeClock
from tests.fakes.images import FakeImages
from tests.fakes.progress import FakeProgress
from tests.fakes.rates import FakeRates
from tests.fakes.signing_keys import FakeSigningKeys
from workers.attest.rules import signature_payload
from workers.attest.worker import attest
from workers.failures import NotYet, PermanentError, TemporaryError
from workers.manifests import OCI_MANIFEST, Manifest
from workers.ports import Attestation, AttestorRecord, PublicKey, ResolvedImage
from workers.rekey.worker import rekey
from workers.rotation import RotationPace
from workers.signing import SigningRules

ATTESTOR = "projects/acme/attestors/ci"
NOTE = "projects/acme/notes/ci"
RING = "projects/acme/locations/europe/keyRings/ci/cryptoKeys/signer/cryptoKeyVersions"
OLD, NEW, OTHER = f"{RING}/1", f"{RING}/2", f"{RING}/3"
PREFIX = "//cloudkms.googleapis.com/v1/"
OLD_ID, NEW_ID, OTHER_ID = f"{PREFIX}{OLD}", f"{PREFIX}{NEW}", f"{PREFIX}{OTHER}"
HOST = "europe-docker.pkg.dev"
PACE = RotationPace(settle=timedelta(seconds=120), soonest=timedelta(seconds=10))


def digest_of(name: str) -> str:
    """Return the digest of an image that is called so."""
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def uri_of(name: str) -> str:
    """Return HOST/PATH@DIGEST of an image that is called so."""
    return f"{HOST}/acme/apps/{name}@{digest_of(name)}"


@dataclass
class World:
    """One attestor with an old key, images that it attested, and a rule that names the next key."""

    clock: FakeClock = field(default_factory=FakeClock)
    keys: FakeSigningKeys = field(default_factory=FakeSigningKeys)
    attestors: FakeAttestors = field(default_factory=FakeAttestors)
    claims: FakeClaims = field(default_factory=FakeClaims)
    rates: FakeRates = field(default_factory=FakeRates)
    progress: FakeProgress = field(default_factory=FakeProgress)
    images: FakeImages = field(default_factory=lambda: FakeImages(HOST))
    border: Border = field(default_factory=Border)
    pace: RotationPace = PACE
    admin: FakeAttestorAdmin = field(init=False)
    attestations: FakeAttestations = field(init=False)
    rules: SigningRules = field(init=False)
    broken: set[str] = field(default_factory=set)
    """Images whose requests fail for good."""
    dead: list[str] = field(default_factory=list)
    """Requests that failed for good."""
    between: Callable[[], Any] | None = None
    """Called before each look of the rotation."""
    waits: list[NotYet] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the keys and the attestor."""
        self.attestations = FakeAttestations(self.clock)
        self.admin = FakeAttestorAdmin(self.attestors)
        self.rule()
        old, _, _ = (self.keys.add(key) for key in (OLD, NEW, OTHER))
        self.list_keys(PublicKey(OLD_ID, old.algorithm, old.pem))

    def rule(self, *more: dict[str, Any], **changes: Any) -> None:
        """Write the signing rules."""
        first = {"match": f"{HOST}/acme/**", "attestor": ATTESTOR, "key": OLD, "next_key": NEW} | changes
        self.rules = SigningRules.model_validate([first, *more])

    def list_keys(self, *keys: PublicKey, name: str = ATTESTOR) -> None:
        """Let an attestor list these keys."""
        self.admin._keep(AttestorRecord(name, NOTE, keys))

    def public(self, key: str, key_id: str) -> PublicKey:
        """Return the entry for a key."""
        found = self.keys._public(key)
        return PublicKey(key_id, found.algorithm, found.pem)

    async def attested(self, *names: str, key: str = OLD, payload_of: str | None = None) -> None:
        """Let images be attested by a key, long ago."""
        for name in names:
            repository = uri_of(name).partition("@")[0].removeprefix(f"{HOST}/")
            image = ResolvedImage(HOST, repository, None, Manifest(digest_of(payload_of or name), OCI_MANIFEST))
            payload = signature_payload(image)
            signature = await self.keys.sign(key, payload, timeout=1)
            made = Attestation(NOTE, f"https://{uri_of(name)}", payload, f"{PREFIX}{key}", signature)
            await self.attestations.create("projects/acme", made, timeout=1)
        self.clock.time += 2 * self.attestations.read_lag
        self.keys.signed.clear()

    def by(self, key_id: str, name: str) -> list[Attestation]:
        """Return what a key attested of an image."""
        stored = self.attestations.stored.values()
        return [one for one in stored if one.key_id == key_id and one.digest == digest_of(name)]

    async def admits(self, name: str) -> bool:
        """Whether the attestor admits the image now."""
        for one in [one for one in self.attestations.stored.values() if one.digest == digest_of(name)]:
            if (await self.attestors.validate(ATTESTOR, one, timeout=1)).result == "VERIFIED":
                return True
        return False

    @property
    def listed(self) -> set[str]:
        """Ids of the attestor's keys."""
        return {key.id for key in self.admin.records[ATTESTOR].keys}

    async def request(self, event: AttestationRequested) -> list[ImageAttested]:
        """Let `attest` handle a request."""
        generator = attest(
            event,
            Envelope(id=event.image, source="/tests", type=event.event_type, run="r"),
            self.images,
            self.keys,
            self.attestors,
            self.attestations,
            self.claims,
            self.rates,
            self.rules,
            self.clock,
            self.progress,
        )
        return [attested async for attested in generator]

    async def look(self, event: AttestorRotate, event_id: str = "1") -> AttestorRotated | None:
        """Handle the rotation once, and what it asks for; None while there is more to do."""
        guard = self.border.guard
        events: list[Any] = []
        try:
            async for emitted in rekey(
                event,
                Envelope(id=event_id, source="/tests", type=event.event_type, run="r"),
                guard(self.admin, "admin"),
                guard(self.keys, "keys"),
                guard(self.attestors, "attestors"),
                _Listing(self.attestations, self.border),  # type: ignore[arg-type] # a fake behind a border
                GuardedLeases(self.claims, self.border),
                self.rates,
                self.rules,
                self.pace,
                self.clock,
                self.progress,
            ):
                events.append(emitted)  # noqa: PERF401 - a comprehension would lose what came before a failure
        except NotYet as later:
            self.waits.append(later)
            for requested in events:
                await self._work_on(requested)
            self.clock.time += later.after
            return None
        (rotated,) = events
        assert isinstance(rotated, AttestorRotated)
        return rotated

    async def rotate(
        self, event: AttestorRotate | None = None, event_id: str = "1", looks: int = 60
    ) -> AttestorRotated:
        """Look until it is done, as the bus does: crashes and temporary failures come back."""
        for _ in range(looks):
            if self.between is not None:
                await self.between()
            try:
                found = await self.look(event or AttestorRotate(attestor=ATTESTOR), event_id)
            except (Crash, TemporaryError):
                await self.claims.silence()
                continue
            if found is not None:
                return found
        raise AssertionError(f"not rotated after {looks} looks: {self.waits[-1:]} {self.progress.lines[-5:]}")

    async def _work_on(self, event: AttestationRequested) -> None:
        if event.image in self.broken:
            self.dead.append(event.image)
            return
        self.clock.time += timedelta(milliseconds=10)
        try:
            await self.request(event)
        except PermanentError:
            self.dead.append(event.image)


class GuardedLeases(GuardedClaims):
    """Claims whose leases' marks may break."""

    def lease(self, key: str) -> Any:
        """Hold a key."""
        return _GuardedLease(self._claims.lease(key), self._border)


class _GuardedLease:
    def __init__(self, lease: Any, border: Border) -> None:
        self._lease, self._border = lease, border

    async def __aenter__(self) -> Any:
        held = await self._lease.__aenter__()
        border = self._border

        class Held:
            attempt, step, taken_over = held.attempt, held.step, held.taken_over

            def left(self) -> float:
                return float(held.left())

            async def mark(self, step: str) -> None:
                await border.cross("lease.mark", lambda: held.mark(step))

        return Held()

    async def __aexit__(self, *raised: object) -> Any:
        return await self._lease.__aexit__(*raised)


class _Listing:
    """Attestations behind the border, listing included."""

    def __init__(self, attestations: FakeAttestations, border: Border) -> None:
        self._attestations, self._border = attestations, border
        self.read_lag = attestations.read_lag
        guarded = border.guard(attestations, "attestations")
        self.find, self.create, self.delete = guarded.find, guarded.create, guarded.delete

    async def of_note(self, note: str, *, since: Any = None) -> Any:
        async def listed() -> list[Attestation]:
            return [one async for one in self._attestations.of_note(note, since=since)]

        for one in await self._border.cross("attestations.of_note", listed):
            yield one
