"""Whether a signature is a key's: the arithmetic of every algorithm that an attestor accepts."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from workers.adapters.keys.schemes import holds
from workers.key_references import OPENPGP
from workers.ports import PublicKey


def is_signature_of(public: PublicKey, signature: bytes, payload: bytes) -> bool:
    """Whether the signature over exactly these bytes was made by the private half of this key.

    PKIX: raw bytes, with the key's algorithm and no other. OpenPGP: an attached message whose content is the payload.
    """
    if public.algorithm == OPENPGP:
        from workers.adapters.keys.openpgp import is_message_of  # noqa: PLC0415 - loaded for such keys alone

        return is_message_of(public, signature, payload)
    try:
        key = load_pem_public_key(public.pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return False
    return holds(public.algorithm, key, signature, payload)
