"""What is wrong with the public keys of an attestor: ids that no signature will ever carry, keys that are none.

Forms of ids: https://cloud.google.com/binary-authorization/docs/reference/rest/v1/projects.attestors#AttestorPublicKey,
RFC 6920 for `ni:`, RFC 4880 section 12.2 for fingerprints.
"""

import base64
import hashlib
import re
from collections.abc import Iterator

from workers.ports import Attestor, PublicKey

MOST_KEYS = 1000
"""Public keys that one attestor may have (https://cloud.google.com/binary-authorization/quotas)."""
_KMS = "//cloudkms.googleapis.com/v1/"
_VERSION = re.compile(
    r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+/cryptoKeyVersions/[1-9][0-9]*"
)
_CRYPTO_KEY = re.compile(r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+")
_HERE = re.compile(r"//(?:127(?:\.[0-9]+){3}|localhost|\[::1\])(?::[0-9]+)?/")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}")
_NI = "ni:///sha-256;"
Problem = tuple[str, str, str]
"""Code, sentence and fix."""


def key_problems(attestor: Attestor) -> Iterator[Problem]:
    """Yield what is wrong with the keys of an attestor that has some."""
    if len(attestor.keys) > MOST_KEYS:
        said = f"{attestor.name} has {len(attestor.keys)} keys; Binary Authorization takes {MOST_KEYS}"
        yield "too-many-keys", said, "remove those that no image needs any more"
    seen: dict[str, str] = {}
    for key in attestor.keys:
        yield from id_problems(attestor.name, key)
        if not _is_openpgp(key):
            yield from _pem_problems(attestor.name, key)
        bare = "".join(key.pem.split())
        if bare and bare in seen:
            said = f"{attestor.name} lists the same key as {seen[bare]!r} and as {key.id!r}"
            yield "key-twice", said, "keep the one whose id the attestations carry"
        seen.setdefault(bare, key.id)


def _is_openpgp(key: PublicKey) -> bool:
    return "BEGIN PGP" in key.pem


def id_problems(name: str, key: PublicKey) -> Iterator[Problem]:
    """Yield what is wrong with the id under which the attestor *name* lists a key."""
    code, where = "key-id-form", f"the key {key.id!r} of {name}"
    version = _VERSION.search(key.id)
    if _is_openpgp(key):
        if not re.fullmatch(r"[0-9A-F]{40}", key.id):
            yield (
                code,
                f"{where} is not a fingerprint in capitals, as signatures of an OpenPGP key carry it",
                (
                    f"write {key.id.upper()}"
                    if _FINGERPRINT.fullmatch(key.id)
                    else "write the V4 fingerprint, 40 capital hex digits"
                ),
            )
    elif _HERE.match(key.id):
        fix = f"write {_KMS}{version[0]}" if version else "add the key again without an endpoint override"
        yield "key-id-local", f"{where} points at this machine: it was added through a local endpoint", fix
    elif version is not None and key.id != _KMS + version[0]:
        said = f"{where} lacks the {_KMS} before the key, so no attestation that Cloud KMS signed will ever verify"
        yield code, said, f"write {_KMS}{version[0]}"
    elif version is None and (found := _CRYPTO_KEY.search(key.id)):
        yield code, f"{where} names a Cloud KMS key without its version", f"write {_KMS}{found[0]}/cryptoKeyVersions/N"
    elif key.id.startswith("ni:"):
        yield from _ni_problems(where, key)
    elif _FINGERPRINT.fullmatch(key.id):
        yield (
            code,
            f"{where} is an OpenPGP fingerprint, but the key is a PKIX key",
            f"write {_ni_of(key.pem) or 'its ni: name'}",
        )


def _ni_problems(where: str, key: PublicKey) -> Iterator[Problem]:
    right = _ni_of(key.pem)
    if right is not None and key.id != right:
        what = (
            "is the name of another key"
            if re.fullmatch(rf"{_NI}[A-Za-z0-9_-]{{43}}", key.id)
            else "is no RFC 6920 name"
        )
        yield "key-id-not-of-key", f"{where} {what}", f"write {right}"


def _ni_of(pem: str) -> str | None:
    """Return RFC 6920's name of the SHA-256 over a PEM public key's DER; None where there is no such key."""
    found = re.search(r"-----BEGIN PUBLIC KEY-----(.+?)-----END PUBLIC KEY-----", pem, re.DOTALL)
    try:
        der = base64.b64decode("".join(found[1].split()), validate=True) if found else None
    except ValueError:
        return None
    if not der:
        return None
    return _NI + base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")


def _pem_problems(name: str, key: PublicKey) -> Iterator[Problem]:
    where = f"the key {key.id!r} of {name}"
    if "PRIVATE KEY" in key.pem:
        yield (
            "key-is-private",
            f"{where} is a private key, which everybody who reads the attestor can see",
            ("withdraw that key everywhere, and add the public half of a new one"),
        )
    elif "BEGIN CERTIFICATE" in key.pem:
        fix = "take the key out of it: openssl x509 -pubkey -noout"
        yield "key-is-certificate", f"{where} is a certificate, where a public key belongs", fix
    else:
        kind = kind_of(key.pem)
        if kind is None:
            yield (
                "key-unreadable",
                f"{where} is not a PEM public key",
                "add it again from the output of `openssl pkey -pubout`",
            )
        elif not _fits(key.algorithm, kind):
            yield (
                "key-algorithm",
                f"{where} is {kind}, but is listed as {key.algorithm}, so nothing it signs verifies",
                (f"add it again with an algorithm for {kind}"),
            )


def _fits(algorithm: str, kind: str) -> bool:
    """Whether a key of a kind can have made a signature with an algorithm, by the API's two words for each."""
    words = algorithm.split("_")
    if kind.startswith("ECDSA "):
        return words[0] in {"ECDSA", "EC"} and kind.removeprefix("ECDSA P-") in {
            word.removeprefix("P") for word in words
        }
    if kind.startswith("RSA "):
        return words[0] == "RSA" and kind.removeprefix("RSA ") in words
    return kind.replace("-", "_") in algorithm


def kind_of(pem: str) -> str | None:
    """Return what a PEM public key is (`ECDSA P-256`, `RSA 2048`, `ML-DSA-65`, else its name); None if it is none."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - most policies are linted without keys
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - see above

    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA P-{key.curve.key_size}" if key.curve.name.startswith("secp") else f"ECDSA {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    name = type(key).__name__.removesuffix("PublicKey").lstrip("_")
    return "ML-DSA-65" if "MLDSA65" in name.replace("_", "").upper() else name
