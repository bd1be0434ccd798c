"""The PKIX signature algorithms of Binary Authorization as a table: which key fits, how to make one, sign and verify.

Sources: `PkixPublicKey.SignatureAlgorithm` (Binary Authorization's reference); https://cloud.google.com/kms/docs/algorithms
(PSS salts are as long as the digest, ECDSA signatures are ASN.1 DER); FIPS 204 (ML-DSA).
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_CURVES: tuple[type[ec.EllipticCurve], ...] = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_CURVE_BITS = {521: "P-521", 384: "P-384", 256: "P-256"}


class Scheme(Protocol):
    """One signature algorithm with its key form. Keys are those of `cryptography`."""

    @property
    def is_slow(self) -> bool:
        """Whether signing belongs in a thread: it takes about a millisecond or more."""

    def fits(self, public: Any) -> bool:
        """Whether a public key has this algorithm's form."""

    def generate(self) -> Any:
        """Return a new private key; RSA takes seconds."""

    def sign(self, private: Any, payload: bytes) -> bytes:
        """Return the raw signature over the payload."""

    def verify(self, public: Any, signature: bytes, payload: bytes) -> None:
        """Raise InvalidSignature unless the signature over the payload is the key's."""


@dataclass(frozen=True, slots=True)
class Ecdsa:
    """ECDSA on a NIST curve; signatures are ASN.1 DER."""

    curve: type[ec.EllipticCurve]
    digest: hashes.HashAlgorithm
    is_slow: bool = False

    def fits(self, public: Any) -> bool:
        """Whether it is a key on this curve."""
        return isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, self.curve)

    def generate(self) -> ec.EllipticCurvePrivateKey:
        """Return a new private key."""
        return ec.generate_private_key(self.curve())

    def sign(self, private: Any, payload: bytes) -> bytes:
        """Return the DER signature."""
        return bytes(private.sign(payload, ec.ECDSA(self.digest)))

    def verify(self, public: Any, signature: bytes, payload: bytes) -> None:
        """Raise InvalidSignature unless it holds."""
        public.verify(signature, payload, ec.ECDSA(self.digest))


@dataclass(frozen=True, slots=True)
class Rsa:
    """RSA of one size, with PSS or PKCS #1 v1.5 padding."""

    bits: int
    digest: hashes.HashAlgorithm
    is_pss: bool
    is_slow: bool = True

    def fits(self, public: Any) -> bool:
        """Whether it is an RSA key of this size."""
        return isinstance(public, rsa.RSAPublicKey) and public.key_size == self.bits

    def generate(self) -> rsa.RSAPrivateKey:
        """Return a new private key."""
        return rsa.generate_private_key(public_exponent=65537, key_size=self.bits)

    def sign(self, private: Any, payload: bytes) -> bytes:
        """Return the signature."""
        return bytes(private.sign(payload, self._padding(), self.digest))

    def verify(self, public: Any, signature: bytes, payload: bytes) -> None:
        """Raise InvalidSignature unless it holds."""
        public.verify(signature, payload, self._padding(), self.digest)

    def _padding(self) -> padding.AsymmetricPadding:
        if self.is_pss:
            return padding.PSS(padding.MGF1(self.digest), padding.PSS.DIGEST_LENGTH)
        return padding.PKCS1v15()


@dataclass(frozen=True, slots=True)
class MlDsa:
    """ML-DSA-65, pure, without a context; it signs the payload itself, not a digest of ours."""

    is_slow: bool = False

    def fits(self, public: Any) -> bool:
        """Whether it is an ML-DSA-65 key."""
        return isinstance(public, mldsa.MLDSA65PublicKey)

    def generate(self) -> mldsa.MLDSA65PrivateKey:
        """Return a new private key."""
        return mldsa.MLDSA65PrivateKey.generate()

    def sign(self, private: Any, payload: bytes) -> bytes:
        """Return the signature."""
        return bytes(private.sign(payload))

    def verify(self, public: Any, signature: bytes, payload: bytes) -> None:
        """Raise InvalidSignature unless it holds."""
        public.verify(signature, payload)


_SHA256, _SHA384, _SHA512 = hashes.SHA256(), hashes.SHA384(), hashes.SHA512()
# Where a key fits several, the first is what is meant when none is chosen.
SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        "ECDSA_P256_SHA256": Ecdsa(ec.SECP256R1, _SHA256),
        "ECDSA_P384_SHA384": Ecdsa(ec.SECP384R1, _SHA384),
        "ECDSA_P521_SHA512": Ecdsa(ec.SECP521R1, _SHA512),
        "RSA_PSS_2048_SHA256": Rsa(2048, _SHA256, is_pss=True),
        "RSA_PSS_3072_SHA256": Rsa(3072, _SHA256, is_pss=True),
        "RSA_PSS_4096_SHA256": Rsa(4096, _SHA256, is_pss=True),
        "RSA_PSS_4096_SHA512": Rsa(4096, _SHA512, is_pss=True),
        "RSA_SIGN_PKCS1_2048_SHA256": Rsa(2048, _SHA256, is_pss=False),
        "RSA_SIGN_PKCS1_3072_SHA256": Rsa(3072, _SHA256, is_pss=False),
        "RSA_SIGN_PKCS1_4096_SHA256": Rsa(4096, _SHA256, is_pss=False),
        "RSA_SIGN_PKCS1_4096_SHA512": Rsa(4096, _SHA512, is_pss=False),
        "ML_DSA_65": MlDsa(),
    }
)
"""Binary Authorization's word → how it is done."""


def fitting(public: Any) -> tuple[str, ...]:
    """Return the algorithms that a public key can be used with, the default first; none for a key of no use."""
    return tuple(word for word, scheme in SCHEMES.items() if scheme.fits(public))


def kind_of(public: Any) -> str:
    """Say what a key is, for people: `RSA with 1024 bits`."""
    if isinstance(public, rsa.RSAPublicKey):
        return f"RSA with {public.key_size} bits"
    if isinstance(public, ec.EllipticCurvePublicKey):
        is_nist = isinstance(public.curve, _CURVES)
        return f"EC on {_CURVE_BITS[public.curve.key_size] if is_nist else public.curve.name}"
    names = {dsa.DSAPublicKey: "DSA", ed25519.Ed25519PublicKey: "Ed25519", ed448.Ed448PublicKey: "Ed448"}
    found = next((name for kind, name in names.items() if isinstance(public, kind)), None)
    return found or type(public).__name__.removesuffix("PublicKey")


def pem_of(public: Any) -> str:
    """Return a public key as PEM SubjectPublicKeyInfo."""
    return str(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def pkix_id(public: Any) -> str:
    """Return the id that Binary Authorization gives a PKIX key: RFC 6920's name of the SHA-256 of its DER."""
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    return f"ni:///sha-256;{digest}"


def holds(word: str, public: Any, signature: bytes, payload: bytes) -> bool:
    """Whether the signature over the payload is the key's, with this algorithm and no other."""
    scheme = SCHEMES.get(word)
    if scheme is None or not scheme.fits(public):
        return False
    try:
        scheme.verify(public, signature, payload)
    except InvalidSignature:
        return False
    return True
