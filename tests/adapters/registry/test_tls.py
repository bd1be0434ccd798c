"""Over TLS the adapter asks only whom it can verify, and then does all that it does without."""

import asyncio
import ipaddress
import os
import ssl
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.adapters.registry.conftest import CANARY, IMAGE, USER, Odd, Opener
from workers.failures import Unavailable
from workers.registries import RegistryAccess

_RESOLVE = """\
import asyncio, sys
from workers.adapters.registry import OciImages
from workers.registries import RegistryAccess

async def resolve(host, user):
    access = RegistryAccess(host=host, username=user, password="env://CANARY_PASSWORD")
    async with OciImages([access]) as images:
        print((await images.resolve(f"{host}/apps/shop:1.0")).digest)

asyncio.run(resolve(*sys.argv[1:]))
"""


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a PEM file with a key and a certificate for 127.0.0.1 that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
async def secure(stack: AsyncExitStack, certificate: Path) -> Odd:
    """Return a registry on TLS that gives tokens for a password and has one image."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/token":
            return web.json_response({"token": "t0ken"})
        if request.headers.get("Authorization") != "Bearer t0ken":
            challenge = f'Bearer realm="https://{opened.host}/token",service="s"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        return web.Response(body=IMAGE.manifest, headers={"Content-Type": IMAGE.media_type})

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    opened = Odd(answer)
    await opened.start(stack, context)
    return opened


async def test_asks_no_registry_whose_certificate_it_cannot_verify(secure: Odd, images: Opener) -> None:
    """An unknown certificate ends it before anything is asked."""
    adapter = await images(RegistryAccess(host=secure.host))

    with pytest.raises(Unavailable, match="TLS certificate that we trust"):
        await adapter.resolve(f"{secure.host}/apps/shop:1.0")

    assert secure.asked == []


async def test_resolves_over_tls_with_a_token(secure: Odd, certificate: Path) -> None:
    """With the certificate trusted by the process, challenge, token and manifest go over TLS."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _RESOLVE,
        secure.host,
        USER,
        env=os.environ | {"SSL_CERT_FILE": str(certificate), "CANARY_PASSWORD": CANARY},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()

    assert output.decode().strip() == IMAGE.digest
    assert [request.path for request in secure.asked][:2] == ["/v2/apps/shop/manifests/1.0", "/token"]
