"""Public keys of every algorithm that an attestor takes."""

from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pysequoia import Tsk

from workers.key_references import OPENPGP, PKIX_ALGORITHMS
from workers.ports import PublicKey

ALGORITHMS = (*PKIX_ALGORITHMS, OPENPGP)
_CURVES = {"P256": ec.SECP256R1(), "P384": ec.SECP384R1(), "P521": ec.SECP521R1()}


def public_key(algorithm: str, key_id: str = "", comment: str = "") -> PublicKey:
    """Return the public half of a key, a new one unless it is RSA; its id is the attestor's to give by default."""
    if algorithm == OPENPGP:
        return PublicKey(key_id, algorithm, str(Tsk.generate("ci <ci@example.test>").extract_certificate()), comment)
    kind, *rest = algorithm.split("_")
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | mldsa.MLDSA65PublicKey
    if kind == "ECDSA":
        public = ec.generate_private_key(_CURVES[rest[0]]).public_key()
    elif kind == "RSA":
        public = _rsa(int(rest[-2]))
    else:
        public = mldsa.MLDSA65PrivateKey.generate().public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return PublicKey(key_id, algorithm, pem, comment)


@cache
def _rsa(size: int) -> rsa.RSAPublicKey:
    """Return the key of that size: a large one takes seconds to make."""
    return rsa.generate_private_key(public_exponent=65537, key_size=size).public_key()
