"""What the tests put into the local services: keys, notes, attestors, and signed payloads."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from tests.local.google.clients import Clients

PROJECT = "projects/demo"
RING = f"{PROJECT}/locations/global/keyRings/ring"
KEY = f"{RING}/cryptoKeys/signer"
VERSION = f"{KEY}/cryptoKeyVersions/1"
NOTE = f"{PROJECT}/notes/reviewed"
ATTESTOR = f"{PROJECT}/attestors/reviewer"
KEY_ID = f"//cloudkms.googleapis.com/v1/{VERSION}"
DIGEST = "sha256:" + hashlib.sha256(b"an image").hexdigest()
RESOURCE = f"https://europe-docker.pkg.dev/demo/apps/shop@{DIGEST}"
PAYLOAD_TYPE = "Google cloud binauthz container signature"
ATTESTATION_NOTE = {"attestation": {"hint": {"human_readable_name": "reviewed"}}}


def payload(digest: str = DIGEST, kind: str = PAYLOAD_TYPE) -> bytes:
    """Return what an attestation signs about an image."""
    critical = {
        "identity": {"docker-reference": "europe-docker.pkg.dev/demo/apps/shop"},
        "image": {"docker-manifest-digest": digest},
        "type": kind,
    }
    return json.dumps({"critical": critical}, indent=2).encode()


async def make_key(clients: Clients, algorithm: str = "EC_SIGN_P256_SHA256", key_id: str = "signer") -> str:
    """Make a key in the ring, which is made when there is none; returns its first version."""
    location, ring_id = RING.split("/keyRings/")
    if RING not in [ring.name for ring in await clients.kms.list_key_rings(parent=location)]:
        await clients.kms.create_key_ring(parent=location, key_ring_id=ring_id)
    template = {"algorithm": algorithm}
    key = {"purpose": "ASYMMETRIC_SIGN", "version_template": template}
    created = await clients.kms.create_crypto_key(parent=RING, crypto_key_id=key_id, crypto_key=key)
    return f"{created.name}/cryptoKeyVersions/1"


async def make_note(clients: Clients, note_id: str = "reviewed") -> Any:
    """Make an attestation note."""
    return await clients.grafeas.create_note(parent=PROJECT, note_id=note_id, note=ATTESTATION_NOTE)


async def make_attestor(clients: Clients, pem: str, algorithm: str = "ECDSA_P256_SHA256", key_id: str = KEY_ID) -> Any:
    """Make an attestor with one key."""
    key = {"id": key_id, "pkix_public_key": {"public_key_pem": pem, "signature_algorithm": algorithm}}
    note = {"note_reference": NOTE, "public_keys": [key]}
    return await clients.binauthz.create_attestor(
        parent=PROJECT, attestor_id="reviewer", attestor={"user_owned_grafeas_note": note}
    )


def attestation(signature: bytes, key_id: str = KEY_ID, content: bytes | None = None) -> dict[str, Any]:
    """Return an attestation as an occurrence carries it."""
    signatures = [{"signature": signature, "public_key_id": key_id}]
    return {"serialized_payload": payload() if content is None else content, "signatures": signatures}


def occurrence(signature: bytes = b"signature", resource: str = RESOURCE, note: str = NOTE) -> dict[str, Any]:
    """Return an attestation occurrence."""
    return {"note_name": note, "resource_uri": resource, "attestation": attestation(signature)}


@dataclass
class Signer:
    """A seeded world: a note, a KMS key, an attestor that knows it."""

    clients: Clients

    async def seed(self) -> None:
        """Make the note, the key and the attestor."""
        version = await make_key(self.clients)
        await make_note(self.clients)
        await make_attestor(self.clients, (await self.clients.kms.get_public_key(name=version)).pem)

    async def sign(self, content: bytes | None = None) -> bytes:
        """Sign a payload with the key."""
        data = payload() if content is None else content
        return bytes((await self.clients.kms.asymmetric_sign(name=VERSION, data=data)).signature)

    async def validate(self, **changed: Any) -> tuple[str, str]:
        """Return the verdict and its reason for the signed attestation, with the *changed* parts of the request."""
        request = {
            "attestor": ATTESTOR,
            "attestation": attestation(await self.sign()),
            "occurrence_note": NOTE,
            "occurrence_resource_uri": RESOURCE,
        }
        answer = await self.clients.validation.validate_attestation_occurrence(**(request | changed))
        return answer.result.name, answer.denial_reason
