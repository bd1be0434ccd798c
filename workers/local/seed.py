"""What a fresh world holds: a key, a note, an attestor that trusts the key, a policy that asks for it, and topics.

Made over REST as anybody would make it in the cloud, with the production host in the request; what is there already
stays as it is. Sources: the REST references of Cloud KMS v1 (keyRings.create, cryptoKeys.create, getPublicKey),
Container Analysis v1 (notes.create), Binary Authorization v1 (attestors.create, updatePolicy) and Pub/Sub v1
(topics.create, subscriptions.create). The topics are those of https://cloud.google.com/artifact-registry/docs/configure-notifications
and https://cloud.google.com/artifact-analysis/docs/pub-sub-notifications.
"""

import asyncio
from dataclasses import dataclass

from workers.local.rest import GoogleRest, RestError

_KMS = "cloudkms.googleapis.com"
_ANALYSIS = "containeranalysis.googleapis.com"
_BINAUTHZ = "binaryauthorization.googleapis.com"
_PUBSUB = "pubsub.googleapis.com"
_MAPPED = {"gcr": "gcr", "container-analysis-occurrences-v1": "occurrences", "scans": "scans"}
"""What Artifact Registry, Artifact Analysis and a scheduler publish on → how the bridge reads it."""
TOPICS = tuple(_MAPPED)
"""Each has a subscription of its own for the bridge to the bus."""


class SeedError(RuntimeError):
    """A local service refused what the world needs; the sentence names the call."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """The names of what is there."""

    project: str
    key_ring: str
    key: str
    """The key version that signs."""
    note: str
    attestor: str
    location: str
    """Where Cloud Run and Artifact Registry are."""
    topics: tuple[str, ...]
    subscriptions: tuple[str, ...]
    """Of the topics, in the same order."""


def seeded(project: str) -> Seeded:
    """Return the names in a project."""
    ring = f"projects/{project}/locations/global/keyRings/sealane"
    return Seeded(
        project=project,
        key_ring=ring,
        key=f"{ring}/cryptoKeys/attest/cryptoKeyVersions/1",
        note=f"projects/{project}/notes/built-by-ci",
        attestor=f"projects/{project}/attestors/built-by-ci",
        location=f"projects/{project}/locations/europe-west1",
        topics=tuple(f"projects/{project}/topics/{topic}" for topic in TOPICS),
        subscriptions=tuple(f"projects/{project}/subscriptions/{topic}-bridge" for topic in TOPICS),
    )


def feeds(project: str) -> list[dict[str, str]]:
    """Return the subscriptions with the name of the mapping for each, as the bridge's settings have them."""
    subscribed = zip(seeded(project).subscriptions, _MAPPED.values(), strict=True)
    return [{"subscription": subscription, "mapping": mapping} for subscription, mapping in subscribed]


async def seed(rest_port: int, token: str, project: str) -> Seeded:
    """Make what is missing. Raises SeedError and OSError."""
    try:
        client, names = GoogleRest(rest_port, token), seeded(project)
        # Side by side: each API imports its client library at its first request.
        await asyncio.gather(asyncio.to_thread(_seed, client, names), asyncio.to_thread(_make_topics, client, names))
    except RestError as error:
        raise SeedError(str(error)) from error
    return names


def _make_topics(client: GoogleRest, names: Seeded) -> None:
    for topic, subscription in zip(names.topics, names.subscriptions, strict=True):
        client.make(_PUBSUB, f"v1/{topic}", {}, verb="PUT")
        client.make(_PUBSUB, f"v1/{subscription}", {"topic": topic, "ackDeadlineSeconds": 60}, verb="PUT")


def _seed(client: GoogleRest, names: Seeded) -> None:
    parent = f"projects/{names.project}"
    client.make(_KMS, f"v1/{parent}/locations/global/keyRings?keyRingId=sealane", {})
    template = {"algorithm": "EC_SIGN_P256_SHA256", "protectionLevel": "SOFTWARE"}
    client.make(
        _KMS,
        f"v1/{names.key_ring}/cryptoKeys?cryptoKeyId=attest",
        {"purpose": "ASYMMETRIC_SIGN", "versionTemplate": template},
    )
    hint = {"attestation": {"hint": {"humanReadableName": "built by our CI"}}}
    client.make(_ANALYSIS, f"v1/{parent}/notes?noteId=built-by-ci", hint)
    if client.find(_BINAUTHZ, f"v1/{names.attestor}") is None:
        _make_attestor(client, names)


def _make_attestor(client: GoogleRest, names: Seeded) -> None:
    public = client.find(_KMS, f"v1/{names.key}/publicKey")
    if public is None:
        raise SeedError(f"the key {names.key} is gone: restore it, or begin with a fresh folder")
    key = {
        "id": f"//{_KMS}/v1/{names.key}",
        "comment": "the local signing key",
        "pkixPublicKey": {"publicKeyPem": public["pem"], "signatureAlgorithm": "ECDSA_P256_SHA256"},
    }
    parent, _, attestor = names.attestor.rpartition("/")
    client.make(
        _BINAUTHZ,
        f"v1/{parent}?attestorId={attestor}",
        {"name": names.attestor, "userOwnedGrafeasNote": {"noteReference": names.note, "publicKeys": [key]}},
    )
    rule = {
        "evaluationMode": "REQUIRE_ATTESTATION",
        "enforcementMode": "ENFORCED_BLOCK_AND_AUDIT_LOG",
        "requireAttestationsBy": [names.attestor],
    }
    policy = f"projects/{names.project}/policy"
    client.call("PUT", _BINAUTHZ, f"v1/{policy}", {"name": policy, "defaultAdmissionRule": rule})
