"""OpenPGP keys, by way of Sequoia: read, sign, verify.

Binary Authorization wants an attached, armored message and names a key by its V4 fingerprint, upper case
(https://cloud.google.com/binary-authorization/docs/reference/rest/v1/projects.attestors#AttestorPublicKey). Sources for
the rest: RFC 4880 (OpenPGP), RFC 9580 (which gave V6 keys other fingerprints).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pysequoia import Cert, PySigner, Tsk, sign, verify
from pysequoia.packet import KeyFlags, Packet, PacketPile, PublicKeyAlgorithm, Tag

from workers.adapters.keys.encrypted import PassphraseMissing
from workers.failures import Invalid
from workers.key_references import OPENPGP
from workers.ports import PublicKey

_FINGERPRINT_LENGTH = 40
_KEY_TAGS = (Tag.SecretKey, Tag.PublicKey)
_SUBKEY_TAGS = (Tag.SecretSubkey, Tag.PublicSubkey)
_NO_SECRET = b"GNU\x01"
"""GnuPG's mark where it left a secret out of an export."""


@dataclass(frozen=True, slots=True)
class OpenPgpKey:
    """An OpenPGP secret key, ready to sign."""

    public: PublicKey
    expires_at: datetime | None
    """When it can sign no more; None for never."""
    _signer: PySigner
    is_slow: bool = True

    def sign(self, payload: bytes) -> bytes:
        """Return the attached, armored message."""
        return bytes(sign(self._signer, payload))


def read_openpgp_key(text: str, place: str, passphrase: str | None, algorithm: str | None) -> OpenPgpKey:
    """Read an armored secret key; *place* is what sentences call it. Raises Invalid.

    A passphrase that is not needed is not an error: a key may be encrypted later, in its place.
    """
    if algorithm is not None:
        raise Invalid(f"{place} is an OpenPGP key, which brings its own algorithm: leave `algorithm` out")
    secret, certificate, packets, public = _parsed(text, place)
    try:
        _require_usable(certificate, packets, place)
        signer = _signer(secret, certificate, packets, place, passphrase)
        return OpenPgpKey(public, _expiry(certificate, packets, signer, place), signer)
    except RuntimeError:
        raise Invalid(
            f"{place} (fingerprint {public.id}) is bound together by no signature that holds today, as with one made of"
            f" SHA-1: renew it with `gpg --quick-set-expire {public.id} 2y`, and export it again"
        ) from None


def _parsed(text: str, place: str) -> tuple[Tsk, Cert, tuple[Packet, ...], PublicKey]:
    try:
        found = Cert.split_bytes(text.encode())
        if len(found) == 1:
            secret = Tsk.from_bytes(text.encode())
            certificate, packets = secret.extract_certificate(), tuple(PacketPile.from_bytes(text.encode()))
            public = PublicKey(id=certificate.fingerprint.upper(), algorithm=OPENPGP, pem=str(certificate))
            return secret, certificate, packets, public
    except RuntimeError:
        raise Invalid(f"{place} is a damaged OpenPGP key: export it again, armored and whole") from None
    raise Invalid(f"{place} holds {len(found)} OpenPGP keys: export the one that shall sign by its fingerprint")


def is_message_of(public: PublicKey, message: bytes, payload: bytes) -> bool:
    """Whether the message holds exactly the payload, signed by a key of this certificate."""
    try:
        certificate = Cert.from_bytes(public.pem.encode())
        found = verify(message, lambda _: [certificate])
    except RuntimeError:
        return False
    signers = {signature.certificate.upper() for signature in found.valid_sigs}
    return found.bytes == payload and signers == {public.id.upper()}


def _signer(
    secret: Tsk, certificate: Cert, packets: tuple[Packet, ...], place: str, passphrase: str | None
) -> PySigner:
    try:
        return secret.signer()
    except RuntimeError as error:
        # Only its first line is Sequoia's sentence, the rest is a stack.
        said = str(error).partition("\n")[0]
    if "encrypted" not in said:
        raise Invalid(
            f"{place} cannot sign now: its signing subkey expired, was revoked, is not bound well enough, or its secret"
            f" was left out; look with `gpg --list-keys {certificate.fingerprint.upper()}`"
        )
    if _NO_SECRET in bytes(packets[0]) and any(flags.signing for flags in _flags(packets, _KEY_TAGS)):
        raise Invalid(
            f"{place} lacks the secret of its primary key, which may sign as well as its subkey: export the whole key"
            " with `gpg --armor --export-secret-keys`, or use a key whose primary key only certifies"
        )
    if passphrase is None:
        raise PassphraseMissing(place)
    try:
        return secret.signer(passphrase)
    except RuntimeError:
        raise Invalid(f"the passphrase does not open {place}: check the secret that `passphrase` names") from None


def _require_usable(certificate: Cert, packets: tuple[Packet, ...], place: str) -> None:
    fingerprint = certificate.fingerprint.upper()
    if len(fingerprint) != _FINGERPRINT_LENGTH:
        raise Invalid(
            f"{place} is an OpenPGP key of version 6, and Binary Authorization names keys by fingerprints of version 4:"
            " make one with `sealane keys create --algorithm OPENPGP`"
        )
    if certificate.is_revoked:
        raise Invalid(
            f"{place} (fingerprint {fingerprint}) was revoked: sign with another key, and take this one off the"
            " attestor"
        )
    if certificate.expiration is not None and certificate.expiration <= datetime.now(UTC):
        raise Invalid(
            f"{place} (fingerprint {fingerprint}) expired on {certificate.expiration:%Y-%m-%d}: extend it with `gpg"
            f" --quick-set-expire {fingerprint} 1y`, export it again and renew the attestor's copy"
        )
    if not any(flags.signing for flags in _flags(packets, (*_KEY_TAGS, *_SUBKEY_TAGS))):
        raise Invalid(
            f"{place} (fingerprint {fingerprint}) has no signing subkey: add one with `gpg --quick-add-key"
            f" {fingerprint} rsa3072 sign`, and export it again"
        )


def _flags(packets: Iterable[Packet], of: tuple[Any, ...]) -> list[KeyFlags]:
    """Return what the self-signatures allow the keys of these tags."""
    found: list[KeyFlags] = []
    counts = False
    for packet in packets:
        if packet.tag in (*_KEY_TAGS, *_SUBKEY_TAGS):
            counts = packet.tag in of
        elif counts and packet.tag == Tag.Signature and packet.key_flags is not None:
            found.append(packet.key_flags)
    return found


def _expiry(certificate: Cert, packets: tuple[Packet, ...], signer: PySigner, place: str) -> datetime | None:
    """Prove that the key signs and that its own public half agrees, and return when the key that signed expires."""
    try:
        (proof,) = verify(bytes(sign(signer, b"proof")), lambda _: [certificate]).valid_sigs
    except (RuntimeError, ValueError):
        raise Invalid(f"{place} makes signatures that its own public half refuses: export it again, whole") from None
    ends = [] if certificate.expiration is None else [certificate.expiration]
    key: Packet | None = None
    for packet in packets:
        if packet.tag in (*_KEY_TAGS, *_SUBKEY_TAGS):
            key = packet if packet.fingerprint == proof.signing_key else None
            if key is not None and key.key_algorithm == PublicKeyAlgorithm.DSA:
                raise Invalid(
                    f"{place} signs with DSA, which is not accepted any more: make a key with `sealane keys create"
                    " --algorithm OPENPGP`"
                )
        elif key is not None and key.key_created is not None and packet.key_validity_period is not None:
            ends.append(key.key_created + packet.key_validity_period)
    return min(ends, default=None)
