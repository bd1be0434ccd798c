"""References to signing keys: where a private key is, never the key itself.

    projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N     Cloud KMS; `gcp-kms://` may stand before it
    file:///PATH?passphrase=REFERENCE&algorithm=ALGORITHM                  a local key, its options in any order or none
    env://NAME?…                                                           the same, from an environment variable

A local key is a secret: PEM (PKCS #8, also encrypted; SEC1; PKCS #1) or an armored OpenPGP secret key, its content
decides. `passphrase` is a secret reference as well; `algorithm` chooses between those that the key can sign with (RSA).
A `?`, `&`, `=` or `%` of a path is percent-encoded.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

OPENPGP = "OPENPGP"
"""The algorithm of an OpenPGP key: what the key is made of is its own affair."""
PKIX_ALGORITHMS = (
    "ECDSA_P256_SHA256",
    "ECDSA_P384_SHA384",
    "ECDSA_P521_SHA512",
    "RSA_PSS_2048_SHA256",
    "RSA_PSS_3072_SHA256",
    "RSA_PSS_4096_SHA256",
    "RSA_PSS_4096_SHA512",
    "RSA_SIGN_PKCS1_2048_SHA256",
    "RSA_SIGN_PKCS1_3072_SHA256",
    "RSA_SIGN_PKCS1_4096_SHA256",
    "RSA_SIGN_PKCS1_4096_SHA512",
    "ML_DSA_65",
)
"""What an attestor accepts, in Binary Authorization's words (`PkixPublicKey.SignatureAlgorithm`)."""
KMS_KEY_PATTERN = (
    r"^projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+/cryptoKeyVersions/[1-9][0-9]*$"
)
WANTED = (
    "write projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N for Cloud KMS, or file:///PATH or"
    " env://NAME for a local key"
)
_KMS_SCHEME = "gcp-kms://"
_SECRET = re.compile(r"(?:env|file|gcp-secret|vault)://[^\s]+")


@dataclass(frozen=True, slots=True)
class LocalKey:
    """A local key: the reference to the secret that holds it, and how to use it."""

    secret: str
    """`file:///PATH` or `env://NAME`."""
    passphrase: str | None = None
    """Secret reference to the passphrase of an encrypted key."""
    algorithm: str | None = None
    """One of PKIX_ALGORITHMS; None leaves it to the key."""

    @classmethod
    def parse(cls, reference: str) -> "LocalKey":
        """Read a reference. Raises ValueError, which never repeats what was written: it might be the key itself."""
        secret, _, query = reference.partition("?")
        if not _SECRET.fullmatch(secret):
            raise ValueError(f"that is no reference to a key: {WANTED}")
        options: dict[str, str] = {}
        for option in filter(None, query.split("&")):
            name, _, value = option.partition("=")
            if name not in {"passphrase", "algorithm"} or name in options:
                raise ValueError(
                    "after `?` a local key takes `passphrase=REFERENCE` and `algorithm=ALGORITHM`, each at most once"
                )
            options[name] = unquote(value)
        passphrase, algorithm = options.get("passphrase"), options.get("algorithm")
        if passphrase is not None and not _SECRET.fullmatch(passphrase):
            raise ValueError("a passphrase is given by reference, env://NAME or file:///PATH, never by its value")
        if algorithm is not None and algorithm not in PKIX_ALGORITHMS:
            raise ValueError(f"`algorithm` is none that an attestor knows: write one of {', '.join(PKIX_ALGORITHMS)}")
        return cls(unquote(secret), passphrase, algorithm)

    def __str__(self) -> str:
        """Return the reference as one would write it."""
        options = {"passphrase": self.passphrase, "algorithm": self.algorithm}
        query = "&".join(f"{name}={quote(value, safe=':/')}" for name, value in options.items() if value is not None)
        return quote(self.secret, safe=":/") + (f"?{query}" if query else "")


def is_kms_key(reference: str) -> bool:
    """Whether a reference names a Cloud KMS key version."""
    return re.match(KMS_KEY_PATTERN, reference) is not None


def checked_key_reference(reference: str) -> str:
    """Return a reference without the scheme of Cloud KMS. Raises ValueError with what to write."""
    reference = reference.removeprefix(_KMS_SCHEME)
    if is_kms_key(reference):
        return reference
    if reference.startswith("projects/") and len(reference.split()) == 1:
        raise ValueError(f"{reference!r} is not what is meant: {WANTED}")
    LocalKey.parse(reference)
    return reference
