"""A registry that can be broken in every way, and the adapter in front of it."""

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.local.registry.client import OCI_MANIFEST
from workers.adapters.registry import OciImages
from workers.local.registry import Faults, Image, Registry, build_image
from workers.local.registry.storage import Storage, StoredManifest
from workers.registries import RegistryAccess

IMAGE = build_image([{"etc/name": b"shop"}])
USER, CANARY = "robot", "canary-5f0c9a-password"
Opener = Callable[..., Awaitable[OciImages]]
Listed = Callable[..., RegistryAccess]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Odd:
    """A server that answers what a test tells it, and remembers what it was asked."""

    answer: Handler
    asked: list[web.BaseRequest] = field(default_factory=list)
    host: str = ""

    @property
    def authorizations(self) -> list[str | None]:
        """The Authorization headers that came, None where there was none."""
        return [request.headers.get("Authorization") for request in self.asked]

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request)
        return await self.answer(request)

    async def start(self, stack: AsyncExitStack, tls: ssl.SSLContext | None = None) -> None:
        """Listen on a free port until the stack is closed."""
        runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        self.host = f"127.0.0.1:{runner.addresses[0][1]}"


def answering(status: int = 200, body: bytes = b"", **headers: str) -> Handler:
    """Return a handler that always answers the same; `_` in a header's name is written `-`."""

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(
            status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    return answer


def token_server(odd: Odd, *, scope: str = "x", expires_in: float = 300, body: bytes | None = None) -> Handler:
    """Return a handler that challenges, gives the token `t0ken`, and then has a manifest."""
    good = answering(body=IMAGE.manifest, Content_Type=IMAGE.media_type, Docker_Content_Digest=IMAGE.digest)
    token = json.dumps({"token": "t0ken", "expires_in": expires_in}).encode() if body is None else body

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/token":
            return web.Response(body=token)
        if request.headers.get("Authorization") == "Bearer t0ken":
            return await good(request)
        header = f'Bearer realm="http://{odd.host}/token",service="odd",scope="{scope}"'
        return web.Response(status=401, headers={"WWW-Authenticate": header})

    return answer


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Yield a stack of what is to be closed after the test."""
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
async def registry(stack: AsyncExitStack, tmp_path: Path) -> Registry:
    """Return a running registry that asks for a password and has `apps/shop:1.0`."""
    put_image(tmp_path / "data", IMAGE)
    opened = Registry(tmp_path / "data", credentials={USER: CANARY, "nobody": CANARY}, permissions={"nobody": []})
    return await stack.enter_async_context(opened)


@pytest.fixture
def faults(registry: Registry) -> Faults:
    """Return the registry's switches and counters."""
    return registry.faults


def put_image(data: Path, image: Image, path: str = "apps/shop", tag: str = "1.0") -> None:
    """Put a manifest into the files of a registry, as a push does at its end."""
    storage = Storage(data)
    storage.put_manifest(path, StoredManifest(image.digest, image.media_type, image.manifest))
    storage.put_tag(path, tag, image.digest)


@pytest.fixture
async def odd(stack: AsyncExitStack) -> Odd:
    """Return a server that answers with a good manifest until told otherwise."""
    opened = Odd(answering(body=IMAGE.manifest, Content_Type=OCI_MANIFEST, Docker_Content_Digest=IMAGE.digest))
    await opened.start(stack)
    return opened


@pytest.fixture
def images(stack: AsyncExitStack) -> Opener:
    """Return a function that opens the adapter on entries and closes it after the test."""

    async def opener(*entries: RegistryAccess, **options: Any) -> OciImages:
        return await stack.enter_async_context(OciImages(entries, **options))

    return opener


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Listed:
    """Return a function that lists a host with our user and the password in the environment."""
    monkeypatch.setenv("CANARY_PASSWORD", CANARY)

    def entry(host: str, **fields: Any) -> RegistryAccess:
        login = {"username": USER, "password": "env://CANARY_PASSWORD"}
        return RegistryAccess(host=host, insecure=True, **(login | fields))

    return entry
