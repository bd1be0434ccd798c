"""Which entries of an attestor's list are a signing key's public half, and under which id a key is listed.

Source: Binary Authorization's `AttestorPublicKey` (ids are compared byte for byte; a key may be listed twice).
"""

import re
from base64 import b64decode
from collections.abc import Iterable
from functools import lru_cache

from workers.key_references import OPENPGP, is_kms_key
from workers.ports import PublicKey

KMS_KEY_ID_PREFIX = "//cloudkms.googleapis.com/v1/"
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----(?P<body>[A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----")


def entries_of(signing: PublicKey, listed: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
    """Return the listed keys that are the signing key's public half, under whatever id or algorithm."""
    return tuple(key for key in listed if _is_same(key, signing))


def natural_id(key: str) -> str:
    """Return the id under which gcloud and Binary Authorization list a key, given its own (`PublicKey.id`).

    For a key version in Cloud KMS it is made of its name, for a local key it is the id that the key has already.
    """
    return f"{KMS_KEY_ID_PREFIX}{key}" if is_kms_key(key) else key


def is_same_key(one: str, other: str) -> bool:
    """Whether two PEM texts hold the same SubjectPublicKeyInfo, however they are wrapped."""
    first, second = _subject_public_key_info(one), _subject_public_key_info(other)
    return first is not None and first == second


def _is_same(listed: PublicKey, signing: PublicKey) -> bool:
    if signing.algorithm == OPENPGP:
        # An armored key is never the same text twice (signatures are added to it): its fingerprint names it.
        return listed.algorithm == OPENPGP and listed.id.upper() == signing.id
    return listed.algorithm != OPENPGP and is_same_key(listed.pem, signing.pem)


@lru_cache(maxsize=4096)  # an attestor may list 1,000 keys, and is asked about for every image
def _subject_public_key_info(pem: str) -> bytes | None:
    found = _PEM.search(pem)
    if found is None:
        return None
    try:
        return b64decode("".join(found["body"].split()), validate=True)
    except ValueError:
        return None
