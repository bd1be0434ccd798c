"""Public keys of attestors in Binary Authorization's words, there and back.

Source: google/cloud/binaryauthorization/v1/resources.proto (AttestorPublicKey, PkixPublicKey).
"""

from typing import Any

from workers.key_references import OPENPGP
from workers.ports import PublicKey


def read_key(key: Any) -> PublicKey:
    """Return an AttestorPublicKey as ours. An algorithm newer than the client library is named by its number."""
    if key.ascii_armored_pgp_public_key:
        return PublicKey(id=key.id, algorithm=OPENPGP, pem=key.ascii_armored_pgp_public_key, comment=key.comment)
    pkix = key.pkix_public_key
    word = getattr(pkix.signature_algorithm, "name", str(pkix.signature_algorithm))
    return PublicKey(id=key.id, algorithm=word, pem=pkix.public_key_pem, comment=key.comment)


def written_key(key: PublicKey) -> dict[str, Any]:
    """Return the AttestorPublicKey that says the same."""
    named = {"id": key.id, "comment": key.comment}
    if key.algorithm == OPENPGP:
        return named | {"ascii_armored_pgp_public_key": key.pem}
    algorithm = int(key.algorithm) if key.algorithm.isdecimal() else key.algorithm
    return named | {"pkix_public_key": {"public_key_pem": key.pem, "signature_algorithm": algorithm}}
