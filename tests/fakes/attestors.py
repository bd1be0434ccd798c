"""Binary Authorization in memory: it really verifies."""

import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from workers.failures import NotFound
from workers.ports import Attestation, Attestor, PublicKey, Verdict


class FakeAttestors:
    """Knows attestors by name and checks note, key, digest and signature of what it is asked about."""

    def __init__(self, *attestors: Attestor) -> None:
        self.attestors = {attestor.name: attestor for attestor in attestors}

    def add(self, name: str, note: str, *keys: PublicKey) -> Attestor:
        """Register an attestor, or replace it."""
        self.attestors[name] = Attestor(name, note, keys)
        return self.attestors[name]

    async def get(self, name: str) -> Attestor:
        """Return the attestor."""
        if name not in self.attestors:
            raise NotFound(f"there is no attestor {name}")
        return self.attestors[name]

    async def validate(self, attestor: str, attestation: Attestation, *, timeout: float) -> Verdict:
        """Say whether the attestation would be accepted, and why not."""
        known = await self.get(attestor)
        if attestation.note != known.note:
            return _refused(f"the note is {attestation.note}, the attestor reads {known.note}")
        key = next((key for key in known.keys if key.id == attestation.key_id), None)
        if key is None:
            return _refused(f"the attestor does not list the key {attestation.key_id}")
        if _signed_digest(attestation.payload) != attestation.digest:
            return _refused("the payload is about another digest")
        if not _is_signed_by(key, attestation):
            return _refused("the signature is not one of the payload by this key")
        return Verdict("VERIFIED")


def _refused(reason: str) -> Verdict:
    return Verdict("ATTESTATION_NOT_VERIFIABLE", reason)


def _signed_digest(payload: bytes) -> str | None:
    try:
        return str(json.loads(payload)["critical"]["image"]["docker-manifest-digest"])
    except (ValueError, LookupError, TypeError):
        return None


def _is_signed_by(key: PublicKey, attestation: Attestation) -> bool:
    public = load_pem_public_key(key.pem.encode())
    try:
        if isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(attestation.signature, attestation.payload, ec.ECDSA(hashes.SHA256()))
        elif isinstance(public, rsa.RSAPublicKey):
            public.verify(attestation.signature, attestation.payload, padding.PKCS1v15(), hashes.SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True
