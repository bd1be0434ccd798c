"""OpenPGP keys of an attestor: their fingerprints, and the attached messages that they signed.

Follows `ascii_armored_pgp_public_key` of
https://cloud.google.com/binary-authorization/docs/reference/rest/v1/projects.attestors#AttestorPublicKey: the id is
the V4 fingerprint in upper case, whatever the caller gave. A signature is what `gpg --armor --sign` makes: an armored
message with the signed bytes inside. OpenPGP itself lets a signature outlive its key; an expired key verifies nothing
here, since admission asks whether the key is good now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pysequoia import Cert, verify
from pysequoia.packet import Packet, PacketPile, SignatureType, Tag

from workers.local.google.binauthz.armor import unarmored
from workers.local.google.status import invalid_argument

_BLOCK = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_V4_LENGTH = 40
_SECRETS = (Tag.SecretKey, Tag.SecretSubkey)
_KEYS = (Tag.PublicKey, Tag.PublicSubkey)
_BINDINGS = (
    SignatureType.GenericCertification,
    SignatureType.PersonaCertification,
    SignatureType.CasualCertification,
    SignatureType.PositiveCertification,
    SignatureType.DirectKey,
    SignatureType.SubkeyBinding,
)


@dataclass(frozen=True)
class _Key:
    """A certificate, and until when each of its keys that may sign does so (None: without end), by fingerprint."""

    cert: Cert
    signing: dict[str, datetime | None]


def complete(key: Any, where: str) -> None:
    """Check a key and give it its fingerprint as id. Raises INVALID_ARGUMENT, with the key called *where*.

    Whether it may sign, and until when, is asked only when it verifies: time and revocations go on after this.
    """
    field = f"{where}.ascii_armored_pgp_public_key"
    try:
        fingerprint = _read(key.ascii_armored_pgp_public_key).cert.fingerprint
    except ValueError as error:
        raise invalid_argument(f"{field} is not an OpenPGP public key: {error}", field) from None
    if len(fingerprint) != _V4_LENGTH:
        raise invalid_argument(f"{field} is not a V4 key: its fingerprint is {fingerprint}.", field)
    key.id = fingerprint.upper()


def refusal(key: Any, signature: bytes, payload: bytes) -> str:
    """Return why *signature* is no message of *key* whose content is *payload*; empty when it is."""
    try:
        return _unfit(key) or _unsigned(key, signature, payload)
    except (RuntimeError, ValueError) as error:
        return f"The signature is not a message signed by the OpenPGP key {key.id}: {_sentence(error)}"


def _unfit(key: Any) -> str:
    """Return why *key* verifies nothing now; empty when it may."""
    known = _read(key.ascii_armored_pgp_public_key)
    if known.cert.is_revoked:
        return f"The OpenPGP key {key.id} is revoked."
    if known.cert.expiration is not None and known.cert.expiration <= datetime.now(UTC):
        return f"The OpenPGP key {key.id} expired on {known.cert.expiration:%Y-%m-%d %H:%M} UTC."
    if not known.signing:
        return f"The OpenPGP key {key.id} may not sign: neither it nor a subkey of it is meant for signatures."
    return ""


def _unsigned(key: Any, signature: bytes, payload: bytes) -> str:
    """Return why the message is not *key*'s or not about *payload*. Raises RuntimeError or ValueError for none."""
    known, now = _read(key.ascii_armored_pgp_public_key), datetime.now(UTC)
    message = verify(unarmored(signature, "MESSAGE"), lambda _: [known.cert])
    ends = [known.signing.get(valid.signing_key, now) for valid in message.valid_sigs]
    if not any(end is None or end > now for end in ends):
        return f"The signature is by a subkey of the OpenPGP key {key.id} that has expired or may not sign."
    if message.bytes != payload:
        return f"The message signed by the OpenPGP key {key.id} holds other bytes than the payload."
    return ""


@lru_cache(maxsize=2048)
def _read(armored: str) -> _Key:
    """Return the key in a block. Raises ValueError with a sentence."""
    if armored.count(_BLOCK) != 1:
        raise ValueError(f"it must hold {_BLOCK} once, as `gpg --export --armor` writes it.")
    try:
        packets = list(PacketPile.from_bytes(armored.encode()))
        if any(packet.tag in _SECRETS for packet in packets):
            raise ValueError("it holds a private key, which belongs nowhere but to its owner.")
        return _Key(Cert.from_bytes(armored.encode()), _signing(packets))
    except RuntimeError as error:
        raise ValueError(_sentence(error)) from None


def _signing(packets: list[Packet]) -> dict[str, datetime | None]:
    """Return the keys whose latest binding lets them sign, with their ends.

    Who made the bindings is not checked here: the library does so when it verifies a message.
    """
    found: dict[str, datetime | None] = {}
    for key, signatures in _bound(packets):
        bindings = [one for one in signatures if one.signature_type in _BINDINGS and one.key_flags is not None]
        if not bindings or any(one.signature_type == SignatureType.SubkeyRevocation for one in signatures):
            continue
        latest = max(bindings, key=lambda one: one.signature_created or datetime.min.replace(tzinfo=UTC))
        if latest.key_flags is not None and latest.key_flags.signing:
            lasts = latest.key_validity_period
            found[str(key.fingerprint)] = key.key_created + lasts if lasts and key.key_created else None
    return found


def _bound(packets: list[Packet]) -> Iterator[tuple[Packet, list[Packet]]]:
    """Yield each key packet of a certificate with the signatures that follow it."""
    key, signatures = None, list[Packet]()
    for packet in packets:
        if packet.tag in _KEYS:
            if key is not None:
                yield key, signatures
            key, signatures = packet, []
        elif packet.tag == Tag.Signature:
            signatures.append(packet)
    if key is not None:
        yield key, signatures


def _sentence(error: Exception) -> str:
    """Return what the library said, without its back-trace."""
    said = str(error).partition("\n")[0]
    return said if said.endswith((".", "?")) else f"{said}."
