"""Pure decisions of the signer: the payload, the key, which stored attestations count, and which are too many.

Sources: gcloud's `binauthz create-signature-payload` (payload bytes), Grafeas v1 (resource URI),
Binary Authorization's `Attestor` (key ids are compared byte for byte).
"""

import json
import re
from base64 import b64decode
from collections.abc import Iterable

from workers.failures import Invalid
from workers.ports import Attestation, Attestor, PublicKey, ResolvedImage

KMS_KEY_ID_PREFIX = "//cloudkms.googleapis.com/v1/"
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----(?P<body>[A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----")


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


def chosen_key(attestor: Attestor, signing: PublicKey) -> PublicKey:
    """Return the attestor's public key that is the signing key's public half. Raises Invalid, saying what to do.

    The same key may be listed twice; the id that gcloud derives from the Cloud KMS name is preferred.
    """
    if not attestor.keys:
        raise Invalid(
            f"attestor {attestor.name} has no public keys, so it accepts no attestation at all:"
            f" {_add(attestor, signing)}"
        )
    wanted = f"{KMS_KEY_ID_PREFIX}{signing.id}"
    same = [key for key in attestor.keys if is_same_key(key.pem, signing.pem)]
    if not same:
        if any(key.id == wanted for key in attestor.keys):
            raise Invalid(
                f"attestor {attestor.name} lists the id {wanted} with another public key than Cloud KMS holds:"
                f" remove it there, then {_add(attestor, signing)}"
            )
        raise Invalid(
            f"none of the {len(attestor.keys)} public keys of attestor {attestor.name} is that of {signing.id}:"
            f" {_add(attestor, signing)}, or name another key in the signing rule"
        )
    usable = [key for key in same if key.algorithm == signing.algorithm]
    if not usable:
        raise Invalid(
            f"attestor {attestor.name} lists the key {signing.id} with the algorithm {same[0].algorithm}, but it signs"
            f" with {signing.algorithm}: list it with {signing.algorithm}, or name a key of {same[0].algorithm}"
        )
    return next((key for key in usable if key.id == wanted), usable[0])


def _add(attestor: Attestor, signing: PublicKey) -> str:
    return (
        "add it with `gcloud container binauthz attestors public-keys add"
        f" --attestor={attestor.name} --keyversion={signing.id}`"
    )


def is_same_key(one: str, other: str) -> bool:
    """Whether two PEM texts hold the same SubjectPublicKeyInfo, however they are wrapped."""
    first, second = _subject_public_key_info(one), _subject_public_key_info(other)
    return first is not None and first == second


def _subject_public_key_info(pem: str) -> bytes | None:
    found = _PEM.search(pem)
    if found is None:
        return None
    try:
        return b64decode("".join(found["body"].split()), validate=True)
    except ValueError:
        return None


def by_key(attestations: Iterable[Attestation], key_id: str) -> tuple[Attestation, ...]:
    """Return those with a signature by the key, oldest first; the name decides between equal times."""
    mine = (attestation for attestation in attestations if attestation.key_id == key_id)
    return tuple(sorted(mine, key=lambda one: (one.created_at is None, one.created_at or 0, one.name or "")))


def surplus(verified: Iterable[Attestation], all_of_digest: Iterable[Attestation]) -> tuple[Attestation, ...]:
    """Return the verified attestations beyond the oldest, sparing occurrences that hold another key's signature too."""
    _, *later = verified
    held = [attestation.name for attestation in all_of_digest]
    return tuple(attestation for attestation in later if held.count(attestation.name) == 1)
