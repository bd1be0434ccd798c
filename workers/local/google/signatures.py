"""Signature schemes as a table: how to make a key, sign, verify, and tell whether a public key fits.

Cloud KMS and Binary Authorization name the same schemes differently; each service maps its enum to a row of `SCHEMES`.
Padding and salt follow https://cloud.google.com/kms/docs/algorithms: PSS salts are as long as the digest, ECDSA
signatures are ASN.1 DER, and ML-DSA (FIPS 204) signs whole messages with an empty context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, rsa, utils

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_CURVES: dict[str, ec.EllipticCurve] = {
    "secp256r1": ec.SECP256R1(),
    "secp384r1": ec.SECP384R1(),
    "secp521r1": ec.SECP521R1(),
}


class Scheme(Protocol):
    """One signature algorithm with its key form."""

    @property
    def digest(self) -> str:
        """The field of a KMS Digest that it signs: "sha256", "sha384" or "sha512"; empty when it signs messages."""
        ...

    @property
    def slow(self) -> bool:
        """Whether signing takes more than a millisecond and belongs in a thread."""
        ...

    def generate(self) -> Any:
        """Return a new private key."""
        ...

    def fits(self, public: Any) -> bool:
        """Whether a public key has this scheme's form."""
        ...

    def sign(self, private: Any, content: bytes) -> bytes:
        """Return the signature over a digest, or over a message when the scheme has no digest."""
        ...

    def verify(self, public: Any, signature: bytes, data: bytes) -> bool:
        """Whether the signature over *data* (not its digest) is that of *public*."""
        ...


@dataclass(frozen=True)
class Ecdsa:
    """ECDSA on a NIST curve."""

    curve: str
    digest: str
    slow: bool = False

    def generate(self) -> ec.EllipticCurvePrivateKey:
        """Return a new private key on the curve."""
        return ec.generate_private_key(_CURVES[self.curve])

    def fits(self, public: Any) -> bool:
        """Whether *public* is a point on the curve."""
        return isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == self.curve

    def sign(self, private: Any, content: bytes) -> bytes:
        """Return the DER signature over a digest."""
        return bytes(private.sign(content, ec.ECDSA(utils.Prehashed(_HASHES[self.digest]))))

    def verify(self, public: Any, signature: bytes, data: bytes) -> bool:
        """Whether *signature* is *public*'s over *data*."""
        return _holds(public, signature, data, ec.ECDSA(_HASHES[self.digest]))


@dataclass(frozen=True)
class Rsa:
    """RSA of a stated size, with PKCS #1 v1.5 or PSS padding."""

    bits: int
    digest: str
    pss: bool
    slow: bool = True

    def generate(self) -> rsa.RSAPrivateKey:
        """Return a new private key; takes from tenths of a second to several seconds."""
        return rsa.generate_private_key(65537, self.bits)

    def fits(self, public: Any) -> bool:
        """Whether *public* is an RSA key of this size."""
        return isinstance(public, rsa.RSAPublicKey) and public.key_size == self.bits

    def sign(self, private: Any, content: bytes) -> bytes:
        """Return the signature over a digest."""
        return bytes(private.sign(content, self._padding(), utils.Prehashed(_HASHES[self.digest])))

    def verify(self, public: Any, signature: bytes, data: bytes) -> bool:
        """Whether *signature* is *public*'s over *data*."""
        return _holds(public, signature, data, self._padding(), _HASHES[self.digest])

    def _padding(self) -> padding.AsymmetricPadding:
        if not self.pss:
            return padding.PKCS1v15()
        chosen = _HASHES[self.digest]
        return padding.PSS(padding.MGF1(chosen), chosen.digest_size)


@dataclass(frozen=True)
class MlDsa65:
    """ML-DSA-65 of FIPS 204, over the message itself."""

    digest: str = ""
    slow: bool = True

    def generate(self) -> mldsa.MLDSA65PrivateKey:
        """Return a new private key."""
        return mldsa.MLDSA65PrivateKey.generate()

    def fits(self, public: Any) -> bool:
        """Whether *public* is an ML-DSA-65 key."""
        return isinstance(public, mldsa.MLDSA65PublicKey)

    def sign(self, private: Any, content: bytes) -> bytes:
        """Return the signature over a message: 3,309 bytes."""
        return bytes(private.sign(content))

    def verify(self, public: Any, signature: bytes, data: bytes) -> bool:
        """Whether *signature* is *public*'s over *data*."""
        return _holds(public, signature, data)


# Named as Cloud KMS names them; Binary Authorization's names are mapped in its own room. P-521 is not Cloud KMS's:
# its enum has no such algorithm, so keys of this scheme come from elsewhere.
SCHEMES: dict[str, Scheme] = {
    "EC_SIGN_P256_SHA256": Ecdsa("secp256r1", "sha256"),
    "EC_SIGN_P384_SHA384": Ecdsa("secp384r1", "sha384"),
    "EC_SIGN_P521_SHA512": Ecdsa("secp521r1", "sha512"),
    "RSA_SIGN_PKCS1_2048_SHA256": Rsa(2048, "sha256", pss=False),
    "RSA_SIGN_PKCS1_3072_SHA256": Rsa(3072, "sha256", pss=False),
    "RSA_SIGN_PKCS1_4096_SHA256": Rsa(4096, "sha256", pss=False),
    "RSA_SIGN_PKCS1_4096_SHA512": Rsa(4096, "sha512", pss=False),
    "RSA_SIGN_PSS_2048_SHA256": Rsa(2048, "sha256", pss=True),
    "RSA_SIGN_PSS_3072_SHA256": Rsa(3072, "sha256", pss=True),
    "RSA_SIGN_PSS_4096_SHA256": Rsa(4096, "sha256", pss=True),
    "RSA_SIGN_PSS_4096_SHA512": Rsa(4096, "sha512", pss=True),
    "PQ_SIGN_ML_DSA_65": MlDsa65(),
}


def _holds(public: Any, signature: bytes, data: bytes, *how: Any) -> bool:
    try:
        public.verify(signature, data, *how)
    except InvalidSignature:
        return False
    return True
