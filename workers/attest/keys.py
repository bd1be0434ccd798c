"""Which key signs for a rule, and under which id: the attestor's list decides.

Source: Binary Authorization's `AttestorPublicKey` (key ids are compared byte for byte, so the attestor's own is used).
"""

from dataclasses import dataclass
from shlex import quote

from workers.attestors.listing import entries_of, natural_id
from workers.failures import Invalid, PermanentError
from workers.key_references import is_kms_key
from workers.ports import Attestor, PublicKey, SigningKeys
from workers.signing import SigningRule


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
                return SigningKey(rule.next_key, chosen_key(attestor, coming, rule.next_key))
    try:
        return SigningKey(rule.key, chosen_key(attestor, await keys.public_key(rule.key), rule.key))
    except PermanentError as problem:
        if unreadable is None:
            raise
        raise type(problem)(f"{problem}; nor is there its next key: {unreadable}") from problem


def is_listed(attestor: Attestor, signing: PublicKey) -> bool:
    """Whether the attestor lists the public half of a signing key, under whatever id or algorithm."""
    return bool(entries_of(signing, attestor.keys))


def chosen_key(attestor: Attestor, signing: PublicKey, reference: str | None = None) -> PublicKey:
    """Return the attestor's public key that is the signing key's public half. Raises Invalid, saying what to do.

    *reference* is how the signing rule names the key, for the sentence; its id when left out.
    The same key may be listed twice; the id that gcloud derives from the Cloud KMS name is preferred, as is the id that
    Binary Authorization itself derives from the public half of a local key.
    """
    if not attestor.keys:
        raise Invalid(
            f"attestor {attestor.name} has no public keys, so it accepts no attestation at all:"
            f" {_add(attestor, reference or signing.id)}"
        )
    wanted = natural_id(signing.id)
    same = entries_of(signing, attestor.keys)
    if not same:
        if any(key.id == wanted for key in attestor.keys):
            raise Invalid(
                f"attestor {attestor.name} lists the id {wanted} with another public key than {_place(signing)} holds:"
                f" remove it there, then {_add(attestor, reference or signing.id)}"
            )
        raise Invalid(
            f"none of the {len(attestor.keys)} public keys of attestor {attestor.name} is that of {signing.id}:"
            f" {_add(attestor, reference or signing.id)}, or name another key in the signing rule"
        )
    usable = [key for key in same if key.algorithm == signing.algorithm]
    if not usable:
        raise Invalid(
            f"attestor {attestor.name} lists the key {signing.id} with the algorithm {same[0].algorithm}, but it signs"
            f" with {signing.algorithm}: list it with {signing.algorithm}, or {_instead(signing, same[0].algorithm)}"
        )
    return next((key for key in usable if key.id == wanted), usable[0])


def _place(signing: PublicKey) -> str:
    return "Cloud KMS" if is_kms_key(signing.id) else "the local key"


def _instead(signing: PublicKey, listed: str) -> str:
    """Return how to sign with the algorithm that is listed: a local RSA key can do so itself."""
    if signing.id.startswith("ni:") and signing.algorithm.startswith("RSA") and listed.startswith("RSA"):
        return f"write ?algorithm={listed} behind the key's reference in the signing rule"
    return f"name a key of {listed}"


def _add(attestor: Attestor, reference: str) -> str:
    return f"add it with `sealane attestor ensure {attestor.name} --key {quote(reference)}`"
