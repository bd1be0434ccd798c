"""What is wrong with the keys of an attestor, and what is right."""

import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pysequoia import Tsk

from tests.policy.conftest import KMS, NI, PEM, attestor, key
from workers.policy.keys import key_problems, kind_of
from workers.ports import PublicKey

NAME = KMS.removeprefix("//cloudkms.googleapis.com/v1/")
CERT = Tsk.generate("ci <ci@example.test>").extract_certificate()


def _stable(value: object) -> str:
    """Name a case by its code: keys made anew each time would give every process of the suite other names."""
    return value if isinstance(value, str) and re.fullmatch(r"[a-z-]+", value) else ""


def pem(
    public: "ec.EllipticCurvePublicKey | rsa.RSAPublicKey | mldsa.MLDSA65PublicKey | ed25519.Ed25519PublicKey",
) -> str:
    """Return the public key as PEM."""
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


RSA = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key())
P384 = pem(ec.generate_private_key(ec.SECP384R1()).public_key())
P521 = pem(ec.generate_private_key(ec.SECP521R1()).public_key())
LATTICE = pem(mldsa.MLDSA65PrivateKey.generate().public_key())
EDWARDS = pem(ed25519.Ed25519PrivateKey.generate().public_key())


@pytest.mark.parametrize(
    "good",
    [
        key(),
        key(NI),
        key(algorithm="EC_SIGN_P256_SHA256"),
        key("https://keys.example/ci"),
        key(KMS, "ECDSA_P384_SHA384", P384),
        key(KMS, "ECDSA_P521_SHA512", P521),
        key(KMS, "RSA_PSS_2048_SHA256", RSA),
        key(KMS, "RSA_SIGN_PKCS1_2048_SHA256", RSA),
        key(KMS, "ML_DSA_65", LATTICE),
        PublicKey(CERT.fingerprint.upper(), "OPENPGP", str(CERT)),
    ],
    ids=lambda good: good.algorithm,
)
def test_nothing_is_said_of_a_good_key(good: PublicKey) -> None:
    """Every algorithm that an attestor takes, and every form of id."""
    assert list(key_problems(attestor("ci", good))) == []


@pytest.mark.parametrize(
    ("bad", "code", "fix"),
    [
        (key(NAME), "key-id-form", f"write {KMS}"),
        (key(f"gcp-kms://{NAME}"), "key-id-form", f"write {KMS}"),
        (key(f"https://cloudkms.googleapis.com/v1/{NAME}"), "key-id-form", f"write {KMS}"),
        (key(f"//cloudkms.googleapis.com/{NAME}"), "key-id-form", f"write {KMS}"),
        (key(KMS.rpartition("/cryptoKeyVersions")[0]), "key-id-form", f"write {KMS[:-1]}N"),
        (key(KMS.replace("cloudkms.googleapis.com", "localhost:8085")), "key-id-local", f"write {KMS}"),
        (key("A" * 40), "key-id-form", f"write {NI}"),
        (PublicKey(CERT.fingerprint.lower(), "OPENPGP", str(CERT)), "key-id-form", f"write {CERT.fingerprint.upper()}"),
        (PublicKey("ci@example.test", "OPENPGP", str(CERT)), "key-id-form", "write the V4 fingerprint"),
        (key("ni:///sha-256;short"), "key-id-not-of-key", f"write {NI}"),
        (key(NI + "="), "key-id-not-of-key", f"write {NI}"),
        (key(NI, "ECDSA_P256_SHA256", P384), "key-id-not-of-key", "write ni:///sha-256;"),
        (key(KMS, "RSA_PSS_4096_SHA256", RSA), "key-algorithm", "add it again with an algorithm for RSA 2048"),
        (key(KMS, "RSA_PSS_2048_SHA256", PEM), "key-algorithm", "add it again with an algorithm for ECDSA P-256"),
        (key(KMS, "ML_DSA_65", RSA), "key-algorithm", "add it again with an algorithm for RSA 2048"),
        (key(KMS, "ECDSA_P256_SHA256", EDWARDS), "key-algorithm", "add it again with an algorithm for Ed25519"),
        (key(pem="-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"), "key-is-certificate", "take the key"),
        (key(pem="-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----"), "key-is-private", "withdraw"),
        (key(pem="nonsense"), "key-unreadable", "add it again"),
        (key(pem=""), "key-unreadable", "add it again"),
    ],
    ids=_stable,
)
def test_a_bad_key_is_named_with_its_fix(bad: PublicKey, code: str, fix: str) -> None:
    """The fix is the right id, or what to do; no part of the key itself is shown."""
    problems = [found for found in key_problems(attestor("ci", bad)) if found[0] == code]

    ((_, sentence, said),) = problems
    assert said.startswith(fix)
    assert "projects/acme/attestors/ci" in sentence
    assert "AA==" not in sentence


def test_the_same_key_twice_and_too_many_are_said() -> None:
    """Twice under two ids, and more than an attestor takes."""
    codes = [code for code, _, _ in key_problems(attestor("ci", key(), key(NI)))]
    many = [code for code, _, _ in key_problems(attestor("ci", *(key(f"urn:key:{n}", pem=PEM) for n in range(1001))))]

    assert codes == ["key-twice"]
    assert many[0] == "too-many-keys"


def test_what_a_key_is_does_not_depend_on_who_wrapped_it() -> None:
    """The kinds that an attestor takes by their names, and None for what is no key."""
    assert [kind_of(one) for one in (PEM, P521, RSA, LATTICE, "x")] == [
        "ECDSA P-256",
        "ECDSA P-521",
        "RSA 2048",
        "ML-DSA-65",
        None,
    ]
