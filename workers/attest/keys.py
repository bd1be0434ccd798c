"""Which key signs for a rule, and under which id: the attestor's list decides.

Source: Binary Authorization's `AttestorPublicKey` (key ids are compared byte for byte, so the attestor's own is used).
"""

import re
from base64 import b64decode
from dataclasses import dataclass
from functools import lru_cache

from workers.failures import Invalid, PermanentError
from workers.key_references import OPENPGP, is_kms_key
from workers.ports import Attestor, PublicKey, SigningKeys
from workers.signing import SigningRule

KMS_KEY_ID_PREFIX = "//cloudkms.googleapis.com/v1/"
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----(?P<body>[A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that signs for a rule."""

    reference: str
    """What the port SigningKeys is asked for: the rule's `key` or `next_key`."""
    listed: PublicKey
    """The attestor's entry for it."""


async def signing_key(rule: SigningRule, attestor: Attestor, keys: SigningKeys) -> SigningKey:
    """Return the rule's next key if the attestor lists it already, else its key. Raises what chosen_key raises."""
    unreadable: PermanentError | None = None
    if rule.next_key is not None:
        try:
            coming = await keys.public_key(rule.next_key)
        except PermanentError as problem:
            # What does not exist yet takes nobody's place: the key signs on, unless it is gone as well.
            unreadable = problem
        else:
            if is_listed(attestor, coming):
                return SigningKey(rule.next_key, chosen_key(attestor, coming))
    try:
        return SigningKey(rule.key, chosen_key(attestor, await keys.public_key(rule.key)))
    except PermanentError as problem:
        if unreadable is None:
            raise
        raise type(problem)(f"{problem}; nor is there its next key: {unreadable}") from problem


def is_listed(attestor: Attestor, signing: PublicKey) -> bool:
    """Whether the attestor lists the public half of a signing key, under whatever id or algorithm."""
    return any(_is_same(key, signing) for key in attestor.keys)


def chosen_key(attestor: Attestor, signing: PublicKey) -> PublicKey:
    """Return the attestor's public key that is the signing key's public half. Raises Invalid, saying what to do.

    The same key may be listed twice; the id that gcloud derives from the Cloud KMS name is preferred, as is the id that
    Binary Authorization itself derives from the public half of a local key.
    """
    if not attestor.keys:
        raise Invalid(
            f"attestor {attestor.name} has no public keys, so it accepts no attestation at all:"
            f" {_add(attestor, signing)}"
        )
    wanted = _natural_id(signing)
    same = [key for key in attestor.keys if _is_same(key, signing)]
    if not same:
        if any(key.id == wanted for key in attestor.keys):
            raise Invalid(
                f"attestor {attestor.name} lists the id {wanted} with another public key than {_place(signing)} holds:"
                f" remove it there, then {_add(attestor, signing)}"
            )
        raise Invalid(
            f"none of the {len(attestor.keys)} public keys of attestor {attestor.name} is that of {signing.id}:"
            f" {_add(attestor, signing)}, or name another key in the signing rule"
        )
    usable = [key for key in same if key.algorithm == signing.algorithm]
    if not usable:
        raise Invalid(
            f"attestor {attestor.name} lists the key {signing.id} with the algorithm {same[0].algorithm}, but it signs"
            f" with {signing.algorithm}: list it with {signing.algorithm}, or name a key of {same[0].algorithm}"
        )
    return next((key for key in usable if key.id == wanted), usable[0])


def _natural_id(signing: PublicKey) -> str:
    return f"{KMS_KEY_ID_PREFIX}{signing.id}" if is_kms_key(signing.id) else signing.id


def _place(signing: PublicKey) -> str:
    return "Cloud KMS" if is_kms_key(signing.id) else "the local key"


def _add(attestor: Attestor, signing: PublicKey) -> str:
    command = f"gcloud container binauthz attestors public-keys add --attestor={attestor.name}"
    if is_kms_key(signing.id):
        return f"add it with `{command} --keyversion={signing.id}`"
    if signing.algorithm == OPENPGP:
        options = "--pgp-public-key-file=FILE"
    else:
        word = signing.algorithm.lower().replace("_", "-")
        options = f"--pkix-public-key-file=FILE --pkix-public-key-algorithm={word}"
    return f"write its public half into a file with `sealane keys show`, then add it with `{command} {options}`"


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
