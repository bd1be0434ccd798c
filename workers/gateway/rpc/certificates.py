"""TLS of the door over gRPC: its certificate, and whose client certificates it believes; renewed without a restart.

The files are read again and again. What fits together is used from the next handshake on; as long as it does not (the
key may be written after the certificate), the door goes on with what it had, and says so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from workers.failures import Invalid, SealaneError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

log = logging.getLogger(__name__)
LOOK_SECONDS = 5.0
"""Seconds between looks at the files."""
ReadSecret = Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where the certificates are."""

    certificate: Path
    """PEM: that of the door first, then those up to its root."""
    key: str
    """Secret reference to its private key, PEM."""
    client_ca: Path | None = None
    """PEM: the roots of client certificates. If given, every client must have one."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    certificate: bytes
    key: bytes
    client_ca: bytes | None

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """Return what gRPC makes handshakes with."""
        pair = (self.key, self.certificate)
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=self.client_ca)


class Certificates:
    """What the door proves itself with. `await load()` before anything else; `await watch()` keeps it fresh."""

    def __init__(self, files: CertificateFiles, read_secret: ReadSecret, *, interval: float = LOOK_SECONDS) -> None:
        self._files = files
        self._read_secret = read_secret
        self._interval = interval
        self._loaded: _Loaded | None = None
        self._newer: grpc.ServerCertificateConfiguration | None = None

    async def load(self) -> grpc.ServerCredentials:
        """Read the files, and return the credentials of a server. Raises Invalid, and what the key's reading raises."""
        self._loaded = await self._read()
        return grpc.dynamic_ssl_server_credentials(
            self._loaded.configuration(),
            self._take_newer,  # type: ignore[arg-type] # gRPC's documentation has None for "no change"
            require_client_authentication=self._files.client_ca is not None,
        )

    async def watch(self) -> None:
        """Read the files again whenever some time has passed, until it is cancelled."""
        said = None
        while True:
            await asyncio.sleep(self._interval)
            try:
                found = await self._read()
            except SealaneError as error:
                if str(error) != said:
                    log.warning("the door goes on with the certificate that it has: %s", error)
                said = str(error)
                continue
            said = None
            if found != self._loaded:
                self._loaded, self._newer = found, found.configuration()
                log.info("the door has a new certificate")

    def _take_newer(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what has changed since the last handshake; gRPC asks before each, in a thread of its own."""
        newer, self._newer = self._newer, None
        return newer

    async def _read(self) -> _Loaded:
        certificate = await asyncio.to_thread(_file, self._files.certificate, "SEALANE_GRPC_CERTIFICATE")
        key = (await self._read_secret(self._files.key)).encode()
        roots = None
        if self._files.client_ca is not None:
            roots = await asyncio.to_thread(_file, self._files.client_ca, "SEALANE_GRPC_CLIENT_CA")
            _certificates(roots, self._files.client_ca)
        _check_pair(certificate, key, self._files.certificate)
        return _Loaded(certificate, key, roots)


def _check_pair(certificate: bytes, key: bytes, path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - for TLS alone
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    leaf = _certificates(certificate, path)[0]
    try:
        public = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError):
        raise Invalid("SEALANE_GRPC_KEY: it refers to no PEM private key without a password: write one there") from None
    if public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != leaf.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ):
        raise Invalid(f"the certificate in {path} is not that of the key which SEALANE_GRPC_KEY refers to: renew both")


def _certificates(pem: bytes, path: Path) -> "list[Certificate]":
    from cryptography import x509  # noqa: PLC0415 - as above

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise Invalid(f"{path} holds no PEM certificate: name the file that does") from None


def _file(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Invalid(f"{setting}: {path} cannot be read: {error.strerror}") from None
