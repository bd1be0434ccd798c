"""The public keys of an attestor, of either kind, together.

Follows https://cloud.google.com/binary-authorization/docs/reference/rest/v1/projects.attestors#AttestorPublicKey. The
limit is that of https://cloud.google.com/binary-authorization/quotas. Ids are kept unique, since a signature names its
key by id alone; what the cloud says to a repeated id is not documented.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workers.local.google.binauthz import openpgp, pkix
from workers.local.google.status import invalid_argument

MOST_KEYS = 1000


def complete(keys: Any) -> None:
    """Check the public keys of an attestor and give them their ids. Raises INVALID_ARGUMENT."""
    if len(keys) > MOST_KEYS:
        raise invalid_argument(f"The attestor has {len(keys)} public keys; it may have {MOST_KEYS}.", "public_keys")
    seen: dict[str, int] = {}
    for index, key in enumerate(keys):
        where = f"public_keys[{index}]"
        kind = key.WhichOneof("public_key")
        if kind is None:
            raise invalid_argument(f"{where} holds no key; set pkix_public_key or ascii_armored_pgp_public_key.", where)
        (pkix if kind == "pkix_public_key" else openpgp).complete(key, where)
        first = seen.setdefault(key.id, index)
        if first != index:
            raise invalid_argument(f"{where}.id {key.id!r} is already that of public_keys[{first}].", f"{where}.id")


def refusal(key: Any, signature: bytes, payload: bytes) -> str:
    """Return why *signature* over *payload* is not one of the attestor's *key*; empty when it is."""
    of_kind: Callable[[Any, bytes, bytes], str] = openpgp.refusal
    if key.WhichOneof("public_key") == "pkix_public_key":
        of_kind = pkix.refusal
    return of_kind(key, signature, payload)
