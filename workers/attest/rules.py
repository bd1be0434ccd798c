"""Pure decisions of the signer: the payload, which stored attestations count, and which are too many.

Sources: gcloud's `binauthz create-signature-payload` (payload bytes), Grafeas v1 (resource URI).
"""

import json
from collections.abc import Iterable

from workers.ports import Attestation, ResolvedImage


def signature_payload(image: ResolvedImage) -> bytes:
    """Return the bytes to sign, exactly as gcloud writes them."""
    document = {
        "critical": {
            "identity": {"docker-reference": image.repository},
            "image": {"docker-manifest-digest": image.digest},
            "type": "Google cloud binauthz container signature",
        }
    }
    text = json.dumps(document, indent=2, separators=(",", ": "), sort_keys=True, ensure_ascii=True)
    return f"{text}\n".encode()


def resource_uri(image: ResolvedImage) -> str:
    """Return the resource that an occurrence is about, with the scheme that Artifact Analysis writes."""
    return f"https://{image.uri}"


def claim_key(note: str, key_id: str, digest: str) -> str:
    """Name the work that must not happen twice: matching is by digest, so the repository plays no part."""
    return f"{note}|{key_id}|{digest}"


def by_key(attestations: Iterable[Attestation], key_id: str) -> tuple[Attestation, ...]:
    """Return those with a signature by the key, oldest first; the name decides between equal times."""
    mine = (attestation for attestation in attestations if attestation.key_id == key_id)
    return tuple(sorted(mine, key=lambda one: (one.created_at is None, one.created_at or 0, one.name or "")))


def surplus(verified: Iterable[Attestation], all_of_digest: Iterable[Attestation]) -> tuple[Attestation, ...]:
    """Return the verified attestations beyond the oldest, sparing occurrences that hold another key's signature too."""
    _, *later = verified
    held = [attestation.name for attestation in all_of_digest]
    return tuple(attestation for attestation in later if held.count(attestation.name) == 1)
