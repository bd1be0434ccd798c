"""ValidateAttestationOccurrence: what admission would check.

Follows https://cloud.google.com/binary-authorization/docs/reference/rest/v1/projects.attestors/validateAttestationOccurrence.
VERIFIED needs all of: the attestor's own note; a payload in the form that
https://cloud.google.com/binary-authorization/docs/making-attestations gives, with the digest of the resource; and one
signature over exactly these bytes by a key of the attestor with the id that the signature names. The repository in the
payload is not compared: an attestation holds for a digest wherever it is stored.
"""

from __future__ import annotations

import json
import re
from typing import Any

from google.cloud.binaryauthorization_v1.types import service

from workers.local.google.binauthz import keys
from workers.local.google.binauthz.attestors import Attestors
from workers.local.google.status import invalid_argument

PAYLOAD_TYPE = "Google cloud binauthz container signature"
_Response = service.ValidateAttestationOccurrenceResponse.pb()
_Result = service.ValidateAttestationOccurrenceResponse.Result
_DIGEST = re.compile(r".*@(sha256:[0-9a-f]{64})")


class Validation:
    """Validates attestations against *attestors*."""

    def __init__(self, attestors: Attestors) -> None:
        self._attestors = attestors

    def validate(self, request: Any) -> Any:
        """ValidateAttestationOccurrence. A failed check is an answer (`denial_reason`), not an error."""
        attestor = self._attestors.read(request.attestor, "attestor")
        for field in ("occurrence_note", "occurrence_resource_uri"):
            if not getattr(request, field):
                raise invalid_argument(f"{field} is empty; it is required.", field)
        if not request.HasField("attestation"):
            raise invalid_argument("attestation is not set; it is required.", "attestation")
        reason = _why_not(attestor, request)
        if reason:
            return _Response(result=_Result.ATTESTATION_NOT_VERIFIABLE, denial_reason=reason)
        return _Response(result=_Result.VERIFIED)


def _why_not(attestor: Any, request: Any) -> str:
    """Return the first check that fails, in a sentence; empty when all hold."""
    note = attestor.user_owned_grafeas_note
    if request.occurrence_note != note.note_reference:
        return f"The note {request.occurrence_note} is not the attestor's, which is {note.note_reference}."
    found = _DIGEST.fullmatch(request.occurrence_resource_uri)
    if found is None:
        return f"The resource {request.occurrence_resource_uri} does not end in @sha256: and 64 hexadecimal digits."
    return _wrong_payload(request.attestation.serialized_payload, found[1]) or _unsigned(note, request.attestation)


def _wrong_payload(payload: bytes, digest: str) -> str:
    try:
        critical = json.loads(payload)["critical"]
        reference = critical["identity"]["docker-reference"]
        said = critical["image"]["docker-manifest-digest"]
        kind = critical["type"]
    except (ValueError, RecursionError):
        return "The payload is not JSON."
    except (KeyError, TypeError):
        return "The payload lacks critical.identity.docker-reference, critical.image.docker-manifest-digest or type."
    if kind != PAYLOAD_TYPE:
        return f"The payload's critical.type is {kind!r}, not {PAYLOAD_TYPE!r}."
    if not isinstance(reference, str) or not reference:
        return "The payload's critical.identity.docker-reference is not a repository."
    if said != digest:
        return f"The payload is about {said}, but the resource is {digest}."
    return ""


def _unsigned(note: Any, attestation: Any) -> str:
    if not note.public_keys:
        return "The attestor has no public keys, so nothing it could attest is valid."
    if not attestation.signatures:
        return "The attestation carries no signature."
    reasons = []
    for signature in attestation.signatures:
        candidates = [key for key in note.public_keys if key.id == signature.public_key_id]
        if not candidates:
            reasons.append(f"The attestor has no public key with the id {signature.public_key_id!r}.")
        refusals = [keys.refusal(key, signature.signature, attestation.serialized_payload) for key in candidates]
        if "" in refusals:
            return ""
        reasons += refusals
    return " ".join(reasons)
