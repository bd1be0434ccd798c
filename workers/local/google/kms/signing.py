"""GetPublicKey and AsymmetricSign.

Follows https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/asymmetricSign
and .../getPublicKey.
Checksums are CRC32C as https://cloud.google.com/kms/docs/data-integrity-guidelines asks: those sent are verified before
anything is signed, and every answer carries its own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

import google_crc32c
from cryptography.hazmat.primitives import serialization
from google.cloud.kms_v1.types import resources, service

from workers.local.google.api import Handler
from workers.local.google.enums import name_of
from workers.local.google.kms.versions import Versions, scheme_of
from workers.local.google.signatures import Scheme
from workers.local.google.status import invalid_argument

_PublicKey = resources.PublicKey.pb()
_SignResponse = service.AsymmetricSignResponse.pb()
_Format = resources.PublicKey.PublicKeyFormat
_LARGEST_DATA = 64 * 1024


class Signing:
    """Signs with the keys of *versions*; slow algorithms run in *threads*."""

    def __init__(self, versions: Versions, threads: Executor) -> None:
        self._versions = versions
        self._threads = threads

    def handlers(self) -> Mapping[str, Handler]:
        """Return what answers each method."""
        return {"GetPublicKey": self.public_key, "AsymmetricSign": self.sign}

    def public_key(self, request: Any) -> Any:
        """GetPublicKey, as PEM or DER; of post-quantum keys also in NIST's form, and only in a form that is named."""
        version = self._versions.usable(request.name)
        wanted = _format(request, post_quantum=scheme_of(version.algorithm).digest == "")
        content = _encoded(self._versions.private_key(version.name).public_key(), wanted)
        answer = _PublicKey(
            name=version.name,
            algorithm=version.algorithm,
            protection_level=version.protection_level,
            public_key_format=wanted,
        )
        answer.public_key.data = content
        answer.public_key.crc32c_checksum.value = google_crc32c.value(content)
        if wanted == _Format.PEM:
            answer.pem = content.decode()
            answer.pem_crc32c.value = google_crc32c.value(content)
        return answer

    async def sign(self, request: Any) -> Any:
        """AsymmetricSign: a digest, or data whose digest is made here; post-quantum keys sign the data itself."""
        version = self._versions.usable(request.name)
        scheme = scheme_of(version.algorithm)
        content = _content(request, scheme)
        private = self._versions.private_key(version.name)
        if scheme.slow:
            loop = asyncio.get_running_loop()
            signature = await loop.run_in_executor(self._threads, scheme.sign, private, content)
        else:
            signature = scheme.sign(private, content)
        answer = _SignResponse(
            signature=signature,
            name=version.name,
            protection_level=version.protection_level,
            verified_digest_crc32c=request.HasField("digest_crc32c"),
            verified_data_crc32c=request.HasField("data_crc32c"),
        )
        answer.signature_crc32c.value = google_crc32c.value(signature)
        return answer


def _format(request: Any, *, post_quantum: bool) -> int:
    """Return the format to answer in. Raises INVALID_ARGUMENT for one that the key does not have.

    https://docs.cloud.google.com/kms/docs/retrieve-public-key: a post-quantum key has no default, and of those only
    ML-DSA keys have PEM and DER.
    """
    wanted = int(request.public_key_format)
    if wanted == _Format.PUBLIC_KEY_FORMAT_UNSPECIFIED:
        if post_quantum:
            raise invalid_argument(
                f"public_key_format is not set; the post-quantum key {request.name} needs one, such as NIST_PQC.",
                "public_key_format",
            )
        return int(_Format.PEM)
    if wanted in (_Format.PEM, _Format.DER) or (post_quantum and wanted == _Format.NIST_PQC):
        return wanted
    form = name_of(_Format, wanted, "public_key_format")
    raise invalid_argument(f"public_key_format {form} does not go with {request.name}.", "public_key_format")


def _encoded(public: Any, form: int) -> bytes:
    """Return a public key in a format; NIST_PQC is the bare encoding of FIPS 204."""
    if form == _Format.NIST_PQC:
        return bytes(public.public_bytes_raw())
    encoding = serialization.Encoding.DER if form == _Format.DER else serialization.Encoding.PEM
    return bytes(public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo))


def _content(request: Any, scheme: Scheme) -> bytes:
    """Return what to sign. Raises INVALID_ARGUMENT unless the request holds exactly one thing of the right kind."""
    kind = request.digest.WhichOneof("digest")
    if (kind is None) == (not request.data):
        raise invalid_argument("Exactly one of digest and data must be set.", "digest")
    if kind is None:
        if len(request.data) > _LARGEST_DATA:
            raise invalid_argument(f"data has {len(request.data)} bytes; at most {_LARGEST_DATA} are signed.", "data")
        _check_crc(request, "data", request.data)
        return hashlib.new(scheme.digest, request.data).digest() if scheme.digest else bytes(request.data)
    digest: bytes = getattr(request.digest, kind)
    if kind != scheme.digest:
        signs = f"{scheme.digest} digests, not {kind}" if scheme.digest else "data, not digests"
        raise invalid_argument(f"The key of {request.name} signs {signs}.", "digest")
    if len(digest) != hashlib.new(kind).digest_size:
        raise invalid_argument(f"digest.{kind} has {len(digest)} bytes, not {hashlib.new(kind).digest_size}.", "digest")
    _check_crc(request, "digest", digest)
    return digest


def _check_crc(request: Any, field: str, content: bytes) -> None:
    other = "data" if field == "digest" else "digest"
    if request.HasField(f"{other}_crc32c"):
        raise invalid_argument(f"{other}_crc32c is set, but {other} is not.", f"{other}_crc32c")
    if not request.HasField(f"{field}_crc32c"):
        return
    sent = getattr(request, f"{field}_crc32c").value
    if sent != google_crc32c.value(content):
        raise invalid_argument(
            f"The checksum in field {field}_crc32c did not match the data in field {field}.", f"{field}_crc32c"
        )
