"""Public keys from files: every algorithm, and a sentence for what is something else."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.contracts.attestor_admin.public_keys import ALGORITHMS, public_key
from workers.adapters.keys.public import is_public, read_public_key
from workers.failures import Invalid

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
PRIVATE = ed25519.Ed25519PrivateKey.generate()
SECRET = PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
ED25519 = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
SMALL = (
    rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - that it is weak is the point
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
EC = public_key("ECDSA_P256_SHA256").pem
PGP = public_key("OPENPGP").pem


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_of_every_algorithm_is_read(algorithm: str) -> None:
    """With the id that is its own."""
    pem = public_key(algorithm).pem
    found = read_public_key(pem, "k.pub", None if algorithm == "OPENPGP" else algorithm)

    assert is_public(pem)
    assert found.algorithm == algorithm
    assert found.id.startswith("ni:///sha-256;") or (found.id.upper() == found.id and len(found.id) == 40)


@pytest.mark.parametrize(
    ("text", "algorithm", "sentence"),
    [
        (CERTIFICATE, None, "k.pub is a certificate: take the public key out of it, `openssl x509 -in FILE"),
        (SECRET, None, "k.pub holds a private key, which no attestor may see"),
        (ED25519, None, "k.pub is Ed25519, which Binary Authorization does not know"),
        (SMALL, None, "k.pub is RSA with 1024 bits, which Binary Authorization does not know"),
        (EC, "ECDSA_P384_SHA384", "k.pub is EC on P-256, so nothing verifies with ECDSA_P384_SHA384: write ECDSA_P256"),
        (EC + EC, None, "k.pub holds 2 keys"),
        (PGP, "ML_DSA_65", "k.pub is an OpenPGP key, which brings its own algorithm"),
        (PGP[:200], None, "k.pub holds no OpenPGP keys"),
        ("ssh-rsa AAAA", None, "k.pub is no public key"),
    ],
)
def test_what_is_no_public_key_is_said(text: str, algorithm: str | None, sentence: str) -> None:
    """What it is, and what is wanted."""
    with pytest.raises(Invalid) as failure:
        read_public_key(text, "k.pub", algorithm)
    assert sentence in str(failure.value)
