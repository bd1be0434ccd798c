"""The same work for every side: 443-byte `image.pushed` in, one `image.attested` out, CloudEvents headers on both."""

from hashlib import blake2b
from typing import Any

from schemas.envelope import Envelope, now
from schemas.identity import run_id
from schemas.images import ImageAttested, ImagePushed
from workers.bus.wiring import Handler, Wiring, wire
from workers.card import Card
from workers.ports import Claims, Json, Lease

BODY_BYTES = 443
BATCH = 250
"""Messages in flight: what the loop and FastStream fetch at once, and the engine's concurrency."""
SOURCE = "//artifactregistry.googleapis.com/projects/acme/locations/europe/repositories/apps"
WORKER = "bench"
_ATTESTOR = {
    "attestor": "projects/acme/attestors/built-by-ci",
    "note": "projects/acme/notes/built-by-ci",
    "occurrence": "projects/acme/occurrences/6f1c2d3e-0b1a-4c57-9a4e-2f6f0d7f9b11",
    "key_id": (
        "//cloudkms.googleapis.com/v1/projects/acme/locations/europe/keyRings/ci/cryptoKeys/attest/cryptoKeyVersions/1"
    ),
    "algorithm": "ECDSA_P256_SHA256",
}


def pushed(number: int) -> ImagePushed:
    """Return the n-th event: its JSON has exactly `BODY_BYTES` bytes."""
    digest = blake2b(b"image %d" % number, digest_size=32).hexdigest()
    labels = {"git.commit": blake2b(b"commit %d" % number, digest_size=20).hexdigest(), "pipeline": ""}
    image = f"europe-docker.pkg.dev/acme/apps/shop:1.4.{number:07d}"
    event = ImagePushed(image=image, digest=f"sha256:{digest}", labels=labels)
    short = BODY_BYTES - len(event.model_dump_json())
    address = "https://ci.example.com/acme/shop/pipelines/".ljust(short, "7")
    return ImagePushed(image=image, digest=f"sha256:{digest}", labels=labels | {"pipeline": address})


def envelope(number: int, event: ImagePushed) -> Envelope:
    """Return the envelope of the n-th event, as the bridge would write it."""
    event_id = f"{number:010d}"
    return Envelope(
        id=event_id,
        source=SOURCE,
        type=ImagePushed.event_type,
        run=run_id(SOURCE, event_id),
        subject=event.about(),
    )


def attested(event: ImagePushed) -> ImageAttested:
    """Do the work: what is to be emitted for an event."""
    repository = event.image.partition(":")[0]
    return ImageAttested(
        image=f"{repository}@{event.digest}",
        digest=str(event.digest),
        tag=event.image.rpartition(":")[2],
        verdict="VERIFIED",
        created=True,
        **_ATTESTOR,  # type: ignore[arg-type] # all of them are texts
    )


def plain_headers(cause: dict[str, str], event: ImageAttested) -> dict[str, str]:
    """Return a follow-up's headers as one writes them by hand: all that ours carry, with no checking."""
    key = f"{cause['ce-source']} {cause['ce-id']} {event.digest} {event.attestor} {event.key_id}"
    event_id = blake2b(key.encode(), digest_size=18).hexdigest()
    return {
        "Nats-Msg-Id": f"attested-{event_id}",
        "ce-specversion": "1.0",
        "ce-id": event_id,
        "ce-source": f"/sealane/{WORKER}",
        "ce-type": ImageAttested.event_type,
        "ce-run": cause["ce-run"],
        "ce-time": now(),
        "ce-hops": str(int(cause.get("ce-hops", "0")) + 1),
        "ce-subject": event.image,
        "ce-cause": cause["Nats-Msg-Id"],
        "content-type": "application/json",
    }


async def attest(event: ImagePushed) -> ImageAttested:
    """Attest nothing, quickly: what remains is the bus."""
    return attested(event)


async def attest_once(event: ImagePushed, claims: Claims) -> ImageAttested:
    """Attest nothing, once for all time: under a claim, whose result is remembered."""

    async def work(_lease: Lease) -> Json:
        return attested(event).model_dump(mode="json")

    return ImageAttested.model_validate(await claims.once(f"{event.image}@{event.digest}", work))


def wiring(handler: Handler, **card: Any) -> Wiring:
    """Wire a handler as the worker of the benches."""
    options: dict[str, Any] = {"concurrency": BATCH} | card
    return wire(Card(WORKER, "Is measured.", **options), handler)
