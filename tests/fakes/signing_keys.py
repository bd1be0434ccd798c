"""Signing keys in memory, with real cryptography."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from workers.failures import Invalid, NotFound
from workers.ports import PublicKey

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def pem_of(key: PrivateKey) -> str:
    """Return the public half as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class FakeSigningKeys:
    """Holds one private key per name: ECDSA on P-256, or RSA PKCS #1 with 2048 bits."""

    def __init__(self) -> None:
        self.private: dict[str, PrivateKey] = {}
        self.disabled: set[str] = set()
        self.signed: list[bytes] = []

    def add(self, name: str, algorithm: str = "ECDSA_P256_SHA256") -> PublicKey:
        """Make a key and return its public half."""
        self.private[name] = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ECDSA_P256_SHA256"
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
        return self._public(name)

    def _public(self, name: str) -> PublicKey:
        key = self.private[name]
        is_ec = isinstance(key, ec.EllipticCurvePrivateKey)
        return PublicKey(name, "ECDSA_P256_SHA256" if is_ec else "RSA_SIGN_PKCS1_2048_SHA256", pem_of(key))

    def _usable(self, name: str) -> PrivateKey:
        if name not in self.private:
            raise NotFound(f"there is no key {name}")
        if name in self.disabled:
            raise Invalid(f"key {name} is not enabled")
        return self.private[name]

    async def public_key(self, key: str) -> PublicKey:
        """Return the public half."""
        self._usable(key)
        return self._public(key)

    async def sign(self, key: str, payload: bytes, *, timeout: float) -> bytes:
        """Sign for real."""
        private = self._usable(key)
        self.signed.append(payload)
        if isinstance(private, ec.EllipticCurvePrivateKey):
            return private.sign(payload, ec.ECDSA(hashes.SHA256()))
        return private.sign(payload, padding.PKCS1v15(), hashes.SHA256())
