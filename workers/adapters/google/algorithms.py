"""Cloud KMS's words for signature algorithms beside Binary Authorization's.

Sources: google/cloud/kms/v1/resources.proto (CryptoKeyVersionAlgorithm), google/cloud/binaryauthorization/v1
(PkixPublicKey.SignatureAlgorithm). Keys of post-quantum algorithms are not read yet: Cloud KMS gives them in another
format.
"""

from collections.abc import Mapping
from types import MappingProxyType

PKIX_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "RSA_SIGN_PSS_2048_SHA256": "RSA_PSS_2048_SHA256",
        "RSA_SIGN_PSS_3072_SHA256": "RSA_PSS_3072_SHA256",
        "RSA_SIGN_PSS_4096_SHA256": "RSA_PSS_4096_SHA256",
        "RSA_SIGN_PSS_4096_SHA512": "RSA_PSS_4096_SHA512",
        "RSA_SIGN_PKCS1_2048_SHA256": "RSA_SIGN_PKCS1_2048_SHA256",
        "RSA_SIGN_PKCS1_3072_SHA256": "RSA_SIGN_PKCS1_3072_SHA256",
        "RSA_SIGN_PKCS1_4096_SHA256": "RSA_SIGN_PKCS1_4096_SHA256",
        "RSA_SIGN_PKCS1_4096_SHA512": "RSA_SIGN_PKCS1_4096_SHA512",
        "EC_SIGN_P256_SHA256": "ECDSA_P256_SHA256",
        "EC_SIGN_P384_SHA384": "ECDSA_P384_SHA384",
    }
)
"""Cloud KMS → Binary Authorization."""


def digest_name(algorithm: str) -> str:
    """Return the digest that an algorithm of either table signs, in lower case: sha256."""
    return algorithm.rpartition("_")[2].lower()
