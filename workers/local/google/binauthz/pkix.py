"""PKIX keys of an attestor: their algorithms, their default ids, and what they verify.

Follows https://cloud.google.com/binary-authorization/docs/reference/rest/v1/projects.attestors#PkixPublicKey. A
key must have the form that its algorithm states ("must match", says the reference): any other is refused.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import lru_cache
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from google.cloud.binaryauthorization_v1.types import resources

from workers.local.google.signatures import SCHEMES, Scheme
from workers.local.google.status import invalid_argument

_Names = resources.PkixPublicKey.pb().SignatureAlgorithm

# Where Binary Authorization has two names for a scheme, the enum's alias is Cloud KMS's own; of ML-DSA it has one.
_OWN_NAMES = {"PQ_SIGN_ML_DSA_65": "ML_DSA_65"}
_SCHEME_OF = {_Names.Value(_OWN_NAMES.get(name, name)): scheme for name, scheme in SCHEMES.items()}
# The characters of an RFC 3986 URI reference: the ids that gcloud writes for Cloud KMS begin with "//".
_URI = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")


def complete(key: Any, where: str) -> None:
    """Check a key and give it an id if it has none. Raises INVALID_ARGUMENT, with the key called *where*."""
    pkix = key.pkix_public_key
    scheme = _scheme(pkix.signature_algorithm, where)
    try:
        public = _loaded(pkix.public_key_pem)
    except (ValueError, UnsupportedAlgorithm):
        raise invalid_argument(
            f"{where}.pkix_public_key.public_key_pem is no PEM public key.", f"{where}.pkix_public_key.public_key_pem"
        ) from None
    if not scheme.fits(public):
        name = _Names.Name(pkix.signature_algorithm)
        raise invalid_argument(
            f"{where}: the public key is not one for {name}.", f"{where}.pkix_public_key.signature_algorithm"
        )
    if key.id and pkix.key_id and key.id != pkix.key_id:
        raise invalid_argument(f"{where}.pkix_public_key.key_id must be empty or equal to {where}.id.", where)
    key.id = key.id or pkix.key_id or default_id(pkix.public_key_pem)
    if _URI.fullmatch(key.id) is None:
        raise invalid_argument(f"{where}.id {key.id!r} is not a URI as RFC 3986 has it.", f"{where}.id")


def refusal(key: Any, signature: bytes, payload: bytes) -> str:
    """Return why *signature* is not that of *key* over *payload*, with the algorithm it states; empty when it is."""
    pkix = key.pkix_public_key
    if _SCHEME_OF[pkix.signature_algorithm].verify(_loaded(pkix.public_key_pem), signature, payload):
        return ""
    return f"The signature is not that of the key {key.id} over this payload."


def default_id(pem: str) -> str:
    """Return the id of a key that was given none: RFC 6920's name of the SHA-256 of its DER."""
    der = _loaded(pem).public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    return f"ni:///sha-256;{digest}"


def _scheme(algorithm: int, where: str) -> Scheme:
    scheme = _SCHEME_OF.get(algorithm)
    if scheme is not None:
        return scheme
    field = f"{where}.pkix_public_key.signature_algorithm"
    raise invalid_argument(f"{field} is not set to a signature algorithm.", field)


@lru_cache(maxsize=2048)
def _loaded(pem: str) -> Any:
    return serialization.load_pem_public_key(pem.encode())
