"""Makes private keys: PEM (PKCS #8, encrypted where a passphrase is given), or an armored OpenPGP secret key."""

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from workers.adapters.keys.schemes import SCHEMES
from workers.failures import Invalid
from workers.key_references import OPENPGP, PKIX_ALGORITHMS

ALGORITHMS = (*PKIX_ALGORITHMS, OPENPGP)
"""What a local key can be made of."""


def new_private_key(algorithm: str, *, passphrase: str | None = None, user_id: str = "sealane") -> str:
    """Return the text of a new private key; *user_id* names the owner of an OpenPGP key. RSA blocks for seconds.

    Raises Invalid.
    """
    if algorithm == OPENPGP:
        if passphrase is not None:
            raise Invalid(
                "an OpenPGP key with a passphrase is made by gpg: `gpg --quick-gen-key USER rsa3072 sign`, then `gpg"
                " --armor --export-secret-keys USER` and `sealane keys import`"
            )
        return _openpgp(user_id)
    private = SCHEMES[algorithm].generate()
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        encryption = BestAvailableEncryption(passphrase.encode())
    return str(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode())


def _openpgp(user_id: str) -> str:
    """Return a V4 key of RSA with 3072 bits: a primary key that certifies and a subkey that signs, nothing more."""
    from pysequoia import CipherSuite, Profile, Tsk  # noqa: PLC0415 - loaded for such keys alone
    from pysequoia.packet import Packet, PacketPile, Tag  # noqa: PLC0415 - as above

    made = Tsk.generate(user_id=user_id, profile=Profile.RFC4880, cipher_suite=CipherSuite.RSA3k)
    keys: list[list[Packet]] = []
    for packet in PacketPile.from_bytes(bytes(made)):
        if packet.tag in (Tag.SecretKey, Tag.SecretSubkey):
            keys.append([])
        keys[-1].append(packet)
    # Each key is followed by the signatures that say what it is for.
    kept = [key for key in keys if not any(flags.storage_encryption for packet in key if (flags := packet.key_flags))]
    return str(Tsk.from_packets([packet for key in kept for packet in key]))
