"""Cloud KMS's words for signature algorithms beside Binary Authorization's.

Sources: google/cloud/kms/v1/resources.proto (CryptoKeyVersionAlgorithm), google/cloud/binaryauthorization/v1
(PkixPublicKey.SignatureAlgorithm). Cloud KMS has no P-521.
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
        "PQ_SIGN_ML_DSA_65": "ML_DSA_65",
    }
)
"""Cloud KMS → Binary Authorization."""


KMS_WORDS: Mapping[str, str] = MappingProxyType({pkix: kms for kms, pkix in PKIX_WORDS.items()})
"""Binary Authorization → Cloud KMS."""


def digest_name(algorithm: str) -> str | None:
    """Return the digest that an algorithm of either table signs (sha256), or None where it signs the data itself."""
    word = algorithm.rpartition("_")[2].lower()
    return word if word.startswith("sha") else None
