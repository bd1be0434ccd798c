"""PEM private keys as people have them, and a sentence for each way in which a file can be something else.

Sources: RFC 7468 (textual encodings), RFC 5958 (PKCS #8), RFC 5915 (SEC1 EC keys), RFC 8017 (PKCS #1).
"""

import re
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from workers.adapters.keys.encrypted import PassphraseMissing
from workers.adapters.keys.schemes import SCHEMES, fitting, kind_of, pem_of, pkix_id
from workers.failures import Invalid
from workers.ports import PublicKey

_BLOCK = re.compile(r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----.*?-----END (?P=label)-----", re.DOTALL)
_FORMS = frozenset({"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "DSA PRIVATE KEY"})
_SAID = {
    "CERTIFICATE": "a certificate, which holds only a public key",
    "CERTIFICATE REQUEST": "a certificate request, which holds only a public key",
    "PUBLIC KEY": "a public key",
    "RSA PUBLIC KEY": "a public key",
    "PGP PUBLIC KEY BLOCK": "an OpenPGP public key",
    "PGP MESSAGE": "an OpenPGP message",
    "PGP SIGNATURE": "an OpenPGP signature",
}


@dataclass(frozen=True, slots=True)
class PemKey:
    """A PKIX private key, ready to sign with one algorithm."""

    public: PublicKey
    is_slow: bool
    _private: Any
    expires_at: None = None
    """Keys of this form never expire by themselves."""

    def sign(self, payload: bytes) -> bytes:
        """Return the raw signature over the payload."""
        return SCHEMES[self.public.algorithm].sign(self._private, payload)


def read_pem_key(text: str, place: str, passphrase: str | None, algorithm: str | None) -> PemKey:
    """Read a private key; *place* is what sentences call it. Raises Invalid.

    A passphrase that is not needed is not an error: a key may be encrypted later, in its place.
    """
    private = _loaded(_private_block(text, place), place, passphrase)
    public = private.public_key()
    word = _algorithm(public, place, algorithm)
    described = PublicKey(id=pkix_id(public), algorithm=word, pem=pem_of(public))
    return PemKey(described, SCHEMES[word].is_slow, private)


def _private_block(text: str, place: str) -> bytes:
    """Return the one private key of a file that may hold certificates and curve parameters as well."""
    found = {match["label"]: match[0] for match in _BLOCK.finditer(text)}
    private = [match[0] for match in _BLOCK.finditer(text) if match["label"] in _FORMS]
    if len(private) > 1:
        raise Invalid(f"{place} holds {len(private)} private keys: keep one key in one place")
    if private:
        return f"{private[0]}\n".encode()
    if "OPENSSH PRIVATE KEY" in found:
        raise Invalid(
            f"{place} is a private key in OpenSSH's own form: convert a copy with `ssh-keygen -p -m PKCS8 -f FILE`"
        )
    for label, what in _SAID.items():
        if label in found:
            raise Invalid(f"{place} is {what}: name the private key, which alone can sign")
    raise Invalid(
        f"{place} is no private key: a PEM block (BEGIN PRIVATE KEY, BEGIN ENCRYPTED PRIVATE KEY, BEGIN EC PRIVATE KEY,"
        " BEGIN RSA PRIVATE KEY) or an armored OpenPGP secret key is wanted, whole"
    )


def _loaded(block: bytes, place: str, passphrase: str | None) -> Any:
    try:
        try:
            return load_pem_private_key(block, None)
        except TypeError:
            if passphrase is None:
                raise PassphraseMissing(place) from None
            return _opened(block, place, passphrase)
    except UnsupportedAlgorithm:
        raise Invalid(
            f"{place} is a private key of a kind that Binary Authorization does not know: make one with"
            " `sealane keys create`"
        ) from None
    except ValueError:
        raise Invalid(f"{place} is a damaged private key: put it there again, whole") from None


def _opened(block: bytes, place: str, passphrase: str) -> Any:
    try:
        return load_pem_private_key(block, passphrase.encode())
    except ValueError:
        raise Invalid(f"the passphrase does not open {place}: check the secret that `passphrase` names") from None


def _algorithm(public: Any, place: str, wanted: str | None) -> str:
    words = fitting(public)
    if not words:
        raise Invalid(
            f"{place} is {kind_of(public)}, which Binary Authorization does not know: make a key of EC (P-256, P-384,"
            " P-521), RSA (2048, 3072, 4096 bits) or ML-DSA-65 with `sealane keys create`"
        )
    if wanted is not None and wanted not in words:
        raise Invalid(
            f"{place} is {kind_of(public)}, which cannot sign with {wanted}: write one of {', '.join(words)} as its"
            " `algorithm`, or none"
        )
    return wanted or words[0]
