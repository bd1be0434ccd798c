"""The script one would write: one image after another, with Google's synchronous clients, the same calls as ours.

`python -m tests.bench.sides.sequential DATA` reads HOST/PATH:TAG lines from standard input. Per image: HEAD in the
registry, list the note's attestations, AsymmetricSign, ValidateAttestationOccurrence, CreateOccurrence; attestor and
public key are read once.
"""

import base64
import hashlib
import json
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import google_crc32c
import grpc
from google.cloud import binaryauthorization_v1 as binauthz
from google.cloud import kms_v1 as kms
from google.cloud.binaryauthorization_v1.services.binauthz_management_service_v1.transports import (
    BinauthzManagementServiceV1GrpcTransport,
)
from google.cloud.binaryauthorization_v1.services.validation_helper_v1.transports import ValidationHelperV1GrpcTransport
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport
from grafeas import grafeas_v1 as grafeas
from grafeas.grafeas_v1.services.grafeas.transports import GrafeasGrpcTransport

from schemas.images import split_reference
from tests.bench.sides.measure import Stopwatch
from workers.local.folder import WorldFolder

ACCEPTED = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"


class Registry:
    """One connection, and one token per repository, as the registry asks for."""

    def __init__(self, host: str, user: str, password: str) -> None:
        self._connection = HTTPConnection(host, timeout=10)
        self._basic = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

    def digest(self, path: str, tag: str) -> str:
        """Return the digest of a tag."""
        target = f"/v2/{path}/manifests/{tag}"
        status, headers, _ = self._ask("HEAD", target, {"Accept": ACCEPTED})
        if status == 401:
            challenge = dict(
                part.strip().split("=", 1) for part in headers["www-authenticate"].partition(" ")[2].split(",")
            )
            realm = urlsplit(challenge["realm"].strip('"'))
            query = urlencode({"service": challenge["service"].strip('"'), "scope": f"repository:{path}:pull"})
            _, _, body = self._ask("GET", f"{realm.path}?{query}", {"Authorization": self._basic})
            token = json.loads(body)["token"]
            status, headers, _ = self._ask("HEAD", target, {"Accept": ACCEPTED, "Authorization": f"Bearer {token}"})
        if status != 200:
            raise SystemExit(f"{path}:{tag}: the registry answered {status}")
        return headers["docker-content-digest"]

    def _ask(self, verb: str, target: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        self._connection.request(verb, target, headers=headers)
        response = self._connection.getresponse()
        body = response.read()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, body


class Signer:
    """Signs, validates and stores; the attestor's only key signs."""

    def __init__(self, endpoints: dict[str, Any], token: str) -> None:
        channel = grpc.insecure_channel(endpoints["google_grpc"])
        self._metadata = [("authorization", f"Bearer {token}")]
        self._kms = kms.KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))
        self._binauthz = binauthz.BinauthzManagementServiceV1Client(
            transport=BinauthzManagementServiceV1GrpcTransport(channel=channel)
        )
        self._validation = binauthz.ValidationHelperV1Client(transport=ValidationHelperV1GrpcTransport(channel=channel))
        self._grafeas = grafeas.GrafeasClient(transport=GrafeasGrpcTransport(channel=channel))
        self._parent = f"projects/{endpoints['project']}"
        self._key = endpoints["key"]
        self._attestor = self._binauthz.get_attestor(name=endpoints["attestor"], metadata=self._metadata)
        self._kms.get_public_key(name=self._key, metadata=self._metadata)

    def attest(self, repository: str, digest: str) -> None:
        """Attest one image, unless it is attested."""
        note = self._attestor.user_owned_grafeas_note
        stored = self._grafeas.list_note_occurrences(
            name=note.note_reference, filter=f'has_suffix(resourceUrl, "{digest}")', metadata=self._metadata
        )
        if list(stored):
            return
        payload = _payload(repository, digest)
        signed = hashlib.sha256(payload).digest()
        answer = self._kms.asymmetric_sign(
            request={"name": self._key, "digest": {"sha256": signed}, "digest_crc32c": google_crc32c.value(signed)},
            metadata=self._metadata,
        )
        if answer.signature_crc32c != google_crc32c.value(answer.signature):
            raise SystemExit("the signature was damaged on the way")
        attestation = {
            "serialized_payload": payload,
            "signatures": [{"public_key_id": note.public_keys[0].id, "signature": answer.signature}],
        }
        self._validate(note.note_reference, f"https://{repository}@{digest}", attestation)
        occurrence = {
            "kind": "ATTESTATION",
            "note_name": note.note_reference,
            "resource_uri": f"https://{repository}@{digest}",
            "attestation": attestation,
        }
        self._grafeas.create_occurrence(
            request={"parent": self._parent, "occurrence": occurrence}, metadata=self._metadata
        )

    def _validate(self, note: str, resource: str, attestation: dict[str, Any]) -> None:
        verdict = self._validation.validate_attestation_occurrence(
            request={
                "attestor": self._attestor.name,
                "attestation": attestation,
                "occurrence_note": note,
                "occurrence_resource_uri": resource,
            },
            metadata=self._metadata,
        )
        if verdict.result.name != "VERIFIED":
            raise SystemExit(f"{resource} is not verified: {verdict.denial_reason}")


def _payload(repository: str, digest: str) -> bytes:
    document = {
        "critical": {
            "identity": {"docker-reference": repository},
            "image": {"docker-manifest-digest": digest},
            "type": "Google cloud binauthz container signature",
        }
    }
    return f"{json.dumps(document, indent=2, separators=(',', ': '), sort_keys=True)}\n".encode()


def main(data: Path, references: list[str]) -> None:
    """Attest all; the clock runs once the clients are there and the attestor is read."""
    endpoints = WorldFolder(data).endpoints()
    if endpoints is None:
        raise SystemExit(f"no world runs in {data}")
    token = Path(endpoints["token"]).read_text().strip()
    signer = Signer(endpoints, token)
    registry = Registry(endpoints["registry"], endpoints["registry_user"], token)
    watch = Stopwatch()
    for reference in references:
        host, path, tag, _ = split_reference(reference)
        signer.attest(f"{host}/{path}", registry.digest(path, tag or "latest"))
    watch.stop(len(references))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.stdin.read().split())
