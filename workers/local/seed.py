"""What a fresh world holds: a key, a note, an attestor that trusts the key, and a policy that asks for it.

Made over REST as anybody would make it in the cloud, with the production host in the request; what is there already
stays as it is. Sources: the REST references of Cloud KMS v1 (keyRings.create, cryptoKeys.create, getPublicKey),
Container Analysis v1 (notes.create) and Binary Authorization v1 (attestors.create, updatePolicy).
"""

import asyncio
import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

_OK, _CONFLICT, _FAILED_PRECONDITION = 200, 409, 400
_KMS = "cloudkms.googleapis.com"
_ANALYSIS = "containeranalysis.googleapis.com"
_BINAUTHZ = "binaryauthorization.googleapis.com"
_PATIENCE = 30.0


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


def seeded(project: str) -> Seeded:
    """Return the names in a project."""
    ring = f"projects/{project}/locations/global/keyRings/sealane"
    return Seeded(
        project=project,
        key_ring=ring,
        key=f"{ring}/cryptoKeys/attest/cryptoKeyVersions/1",
        note=f"projects/{project}/notes/built-by-ci",
        attestor=f"projects/{project}/attestors/built-by-ci",
    )


async def seed(rest_port: int, token: str, project: str) -> Seeded:
    """Make what is missing. Raises SeedError and OSError."""
    return await asyncio.to_thread(_seed, _Client(rest_port, token), seeded(project))


def _seed(client: "_Client", names: Seeded) -> Seeded:
    parent = f"projects/{names.project}"
    client.make(_KMS, f"{parent}/locations/global/keyRings?keyRingId=sealane", {})
    template = {"algorithm": "EC_SIGN_P256_SHA256", "protectionLevel": "SOFTWARE"}
    client.make(
        _KMS,
        f"{names.key_ring}/cryptoKeys?cryptoKeyId=attest",
        {"purpose": "ASYMMETRIC_SIGN", "versionTemplate": template},
    )
    hint = {"attestation": {"hint": {"humanReadableName": "built by our CI"}}}
    client.make(_ANALYSIS, f"{parent}/notes?noteId=built-by-ci", hint)
    if client.find(_BINAUTHZ, names.attestor) is None:
        _make_attestor(client, names)
    return names


def _make_attestor(client: "_Client", names: Seeded) -> None:
    public = client.find(_KMS, f"{names.key}/publicKey")
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
        f"{parent}?attestorId={attestor}",
        {"name": names.attestor, "userOwnedGrafeasNote": {"noteReference": names.note, "publicKeys": [key]}},
    )
    rule = {
        "evaluationMode": "REQUIRE_ATTESTATION",
        "enforcementMode": "ENFORCED_BLOCK_AND_AUDIT_LOG",
        "requireAttestationsBy": [names.attestor],
    }
    policy = f"projects/{names.project}/policy"
    client.call("PUT", _BINAUTHZ, policy, {"name": policy, "defaultAdmissionRule": rule})


class _Client:
    """Calls the local REST port as a Google client would."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token

    def make(self, host: str, path: str, body: dict[str, Any]) -> None:
        """Create; there already is fine."""
        self.call("POST", host, path, body, fine=(_OK, _CONFLICT))

    def find(self, host: str, path: str) -> dict[str, Any] | None:
        """Get, or None where there is none."""
        status, found = self.call("GET", host, path, None, fine=(_OK, 404))
        return found if status == _OK else None

    def call(
        self, verb: str, host: str, path: str, body: dict[str, Any] | None, *, fine: tuple[int, ...] = (_OK,)
    ) -> tuple[int, dict[str, Any]]:
        """Call and return status and answer. Raises SeedError."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        headers = {"Host": host, "Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            content = None if body is None else json.dumps(body)
            connection.request(verb, f"/v1/{path}", content, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status not in fine:
            raise SeedError(
                f"{verb} {host}/v1/{path} was answered {answer.status}: {text[:300].decode(errors='replace')}"
            )
        return answer.status, json.loads(text or b"{}")
