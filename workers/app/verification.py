"""Checks an attestation at its source: what is stored, against the key itself, as Binary Authorization sees it.

Nothing that a worker said is believed.
"""

import json
from dataclasses import dataclass
from datetime import timedelta

from workers.adapters.keys.verifying import is_signature_of
from workers.app.clouds import Clouds
from workers.ports import Attestation, Attestations, Attestors, PublicKey, SigningKeys

_DEADLINE = timedelta(seconds=10).total_seconds()


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found at the source: the stored attestations of a digest, and what is wrong with them."""

    occurrences: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """For people."""
        if self.problems:
            return "; ".join(self.problems)
        return f"{self.occurrences[0]}: signature right, digest right, Binary Authorization says VERIFIED"


async def prove(clouds: Clouds, *, note: str, attestor: str, key: str, digest: str) -> Proof:
    """Fetch, verify and validate; exactly one attestation is expected. Raises SealaneError when nobody answers."""
    store: Attestations = await clouds.port(Attestations)
    keys: SigningKeys = await clouds.port(SigningKeys)
    attestors: Attestors = await clouds.port(Attestors)
    found = await store.find(note, digest)
    problems = [] if len(found) == 1 else [f"{len(found)} attestations of {digest} instead of one"]
    public = await keys.public_key(key)
    for attestation in found:
        if not signature_holds(public, attestation):
            problems.append(f"the signature of {attestation.name} does not fit the key {key}")
        if signed_digest(attestation) != digest:
            problems.append(f"{attestation.name} signs {signed_digest(attestation)}, not {digest}")
        verdict = await attestors.validate(attestor, attestation, timeout=_DEADLINE)
        if verdict.result != "VERIFIED":
            problems.append(f"Binary Authorization refuses {attestation.name}: {verdict.reason}")
    return Proof(tuple(attestation.name or "" for attestation in found), tuple(problems))


def signed_digest(attestation: Attestation) -> str | None:
    """Return the digest in the signed bytes, or None when they are no image payload."""
    try:
        return str(json.loads(attestation.payload)["critical"]["image"]["docker-manifest-digest"])
    except (ValueError, KeyError, TypeError):
        return None


def signature_holds(public: PublicKey, attestation: Attestation) -> bool:
    """Whether the signature over the signed bytes was made by the private half of this key."""
    return is_signature_of(public, attestation.signature, attestation.payload)
