"""What the outside would say of the attestors that the policies of these tests name."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from workers.policy.facts import AttestorFact, Facts
from workers.policy.model import Policy
from workers.ports import Attestor, PublicKey

KMS = "//cloudkms.googleapis.com/v1/projects/acme/locations/europe/keyRings/ci/cryptoKeys/image/cryptoKeyVersions/1"
_PUBLIC = ec.generate_private_key(ec.SECP256R1()).public_key()
PEM = _PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
_DER = _PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
NI = "ni:///sha-256;" + base64.urlsafe_b64encode(hashlib.sha256(_DER).digest()).decode().rstrip("=")
ARMORED = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME\n-----END PGP PUBLIC KEY BLOCK-----\n"


def attestor(name: str, *keys: PublicKey, note: str = "projects/acme/notes/ci") -> Attestor:
    """Return an attestor of the project acme."""
    return Attestor(f"projects/acme/attestors/{name}", note, keys)


def key(key_id: str = KMS, algorithm: str = "ECDSA_P256_SHA256", pem: str = PEM) -> PublicKey:
    """Return a key that is right but for what is said."""
    return PublicKey(key_id, algorithm, pem)


@pytest.fixture
def facts() -> Facts:
    """Return attestors of which `built-by-ci` and `scanned` are right, and the others wrong in one thing each."""
    known = (
        attestor("built-by-ci", key()),
        attestor("scanned", key(NI)),
        attestor("keyless"),
        attestor("no-prefix", key(KMS.removeprefix("//cloudkms.googleapis.com/v1/"))),
        attestor("small-letters", key("1f6b0a0c5e8d4f7a9b3c2d1e0f9a8b7c6d5e4f3a", "OPENPGP", ARMORED)),
        attestor("other-key", key("ni:///sha-256;" + "A" * 43)),
        attestor("local-id", key(KMS.replace("cloudkms.googleapis.com", "127.0.0.1:8085"))),
        attestor("wrong-algorithm", key(algorithm="ECDSA_P384_SHA384")),
    )
    there = {one.name: AttestorFact("there", attestor=one) for one in known}
    noteless = attestor("noteless", key(), note="projects/acme/notes/gone")
    return Facts(
        there
        | {
            noteless.name: AttestorFact("there", attestor=noteless, note="missing"),
            "projects/acme/attestors/missing": AttestorFact("missing"),
            "projects/security/attestors/audited": AttestorFact("denied"),
        },
        live=Policy(name="projects/acme/policy", etag='"new"', update_time="2026-02-02T00:00:00Z"),
        project="acme",
    )
