"""Public keys as people have them in files, for an attestor's list.

Sources: RFC 7468 (textual encodings), RFC 9580 section 6.2 (armor).
"""

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from workers.adapters.keys.schemes import fitting, kind_of, pem_of, pkix_id
from workers.failures import Invalid
from workers.key_references import OPENPGP
from workers.ports import PublicKey

_LABEL = re.compile(r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----")
_ARMORED = "PGP PUBLIC KEY BLOCK"
_FINGERPRINT_LENGTH = 40
_PUBLIC = frozenset({"PUBLIC KEY", "RSA PUBLIC KEY", _ARMORED, "CERTIFICATE", "CERTIFICATE REQUEST"})


def is_public(text: str) -> bool:
    """Whether a text is about public keys alone, if it is about keys."""
    labels = set(_LABEL.findall(text))
    return bool(labels) and labels <= _PUBLIC


def read_public_key(text: str, place: str, algorithm: str | None = None) -> PublicKey:
    """Return a public key with its own id; *place* is what sentences call it. Raises Invalid.

    Where a key fits several algorithms and none was chosen, it is the first of them.
    """
    labels = _LABEL.findall(text)
    if any("PRIVATE" in label or "SECRET" in label for label in labels):
        raise Invalid(f"{place} holds a private key, which no attestor may see: give its public half")
    if "CERTIFICATE" in labels or "CERTIFICATE REQUEST" in labels:
        raise Invalid(
            f"{place} is a certificate: take the public key out of it, `openssl x509 -in FILE -pubkey -noout`"
        )
    if len(labels) > 1:
        raise Invalid(f"{place} holds {len(labels)} keys: keep one key in one place")
    if _ARMORED in labels:
        if algorithm is not None:
            raise Invalid(f"{place} is an OpenPGP key, which brings its own algorithm: leave `algorithm` out")
        return _openpgp(text, place)
    return _pkix(text, place, algorithm)


def _pkix(text: str, place: str, algorithm: str | None) -> PublicKey:
    try:
        public = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid(
            f"{place} is no public key: a PEM block (BEGIN PUBLIC KEY, as `openssl pkey -pubout` writes it) or an"
            " armored OpenPGP public key is wanted, whole"
        ) from None
    words = fitting(public)
    if not words:
        raise Invalid(
            f"{place} is {kind_of(public)}, which Binary Authorization does not know: make a key of EC (P-256, P-384,"
            " P-521), RSA (2048, 3072, 4096 bits) or ML-DSA-65"
        )
    if algorithm is not None and algorithm not in words:
        raise Invalid(
            f"{place} is {kind_of(public)}, so nothing verifies with {algorithm}: write {' or '.join(words)} as its"
            " `algorithm`, or none"
        )
    return PublicKey(id=pkix_id(public), algorithm=algorithm or words[0], pem=pem_of(public))


def _openpgp(text: str, place: str) -> PublicKey:
    from pysequoia import Cert  # noqa: PLC0415 - loaded for such keys alone

    try:
        found = Cert.split_bytes(text.encode())
    except RuntimeError:
        found = []
    if len(found) != 1:
        raise Invalid(f"{place} holds {len(found) or 'no'} OpenPGP keys: export one, armored and whole")
    fingerprint = found[0].fingerprint.upper()
    if len(fingerprint) != _FINGERPRINT_LENGTH:
        raise Invalid(
            f"{place} is an OpenPGP key of version 6, and Binary Authorization names keys by fingerprints of version 4:"
            " make one with `sealane keys create --algorithm OPENPGP`"
        )
    return PublicKey(id=fingerprint, algorithm=OPENPGP, pem=str(found[0]))
