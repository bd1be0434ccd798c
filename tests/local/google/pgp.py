"""OpenPGP keys in every condition, and the messages they sign."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pysequoia import Cert, Tsk, sign
from pysequoia.packet import Packet, PacketPile, Tag


@dataclass(frozen=True)
class PgpKey:
    """A secret key with a signing subkey, and its certificate as it is shown to others."""

    secret: Tsk
    cert: Cert

    @property
    def id(self) -> str:
        """The fingerprint as Binary Authorization writes it."""
        return self.cert.fingerprint.upper()

    @property
    def armored(self) -> str:
        """The public key as `gpg --export --armor` writes it."""
        return str(self.cert)

    def sign(self, content: bytes) -> bytes:
        """Return an armored message that holds *content* and its signature."""
        return sign(self.secret.signer(), content)


def make() -> PgpKey:
    """Return a key that is good."""
    secret = Tsk.generate("builder <builder@example.com>")
    return PgpKey(secret, secret.extract_certificate())


def expired(key: PgpKey) -> PgpKey:
    """Return *key* with an end that has come."""
    return PgpKey(key.secret, key.cert.set_expiration(datetime.now(UTC), key.secret.certifier()))


def revoked(key: PgpKey) -> PgpKey:
    """Return *key* with its revocation."""
    revocation = bytes(key.cert.revoke(key.secret.certifier()))
    return PgpKey(key.secret, Cert.from_bytes(bytes(key.cert) + revocation))


def certifying_only(key: PgpKey) -> PgpKey:
    """Return *key* without its signing subkey, as somebody exported it who has not fetched that one."""
    kept = list[Packet]()
    for packet in PacketPile.from_bytes(bytes(key.cert)):
        if packet.tag == Tag.PublicSubkey:
            break
        kept.append(packet)
    return PgpKey(key.secret, Cert.from_packets(kept))
