"""The port `Images` three times: in memory, on our registry with tokens, on docker-registry with Basic."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.images import FakeImages
from tests.local.registry.debian import CREDENTIALS, docker_registry
from workers.adapters.registry import OciImages
from workers.local.registry import Image, Registry, push, write_layout
from workers.ports import Images
from workers.registries import RegistryAccess

PATHS = ("apps/**",)
"""What the registry is listed for."""


@dataclass
class Store:
    """A registry with something to put images into it, and the port that asks it."""

    host: str
    images: Images
    stranger: Images
    """The same port with credentials that do not do."""
    put: Callable[[str, str | None, Image], Awaitable[None]]
    """Push an image to PATH, under a tag or by digest alone."""
    stop: Callable[[], Awaitable[None]]
    """Take the registry away."""


def _pushing(host: str, folder: Path) -> Callable[[str, str | None, Image], Awaitable[None]]:
    numbers: Iterator[int] = itertools.count()
    user, password = CREDENTIALS

    async def put(path: str, tag: str | None, image: Image) -> None:
        layout = write_layout(folder / f"layout-{next(numbers)}", image)
        reference = f"{host}/{path}:{tag}" if tag else f"{host}/{path}"
        await asyncio.to_thread(push, layout, reference, username=user, password=password)

    return put


@asynccontextmanager
async def _adapters(host: str, folder: Path) -> AsyncIterator[tuple[OciImages, OciImages]]:
    good, wrong = folder / "password", folder / "wrong-password"
    for file, text in ((good, CREDENTIALS[1]), (wrong, "guessed")):
        file.write_text(text)
        file.chmod(0o600)
    entries = [
        RegistryAccess(host=host, paths=PATHS, insecure=True, username=CREDENTIALS[0], password=f"file://{file}")
        for file in (good, wrong)
    ]
    async with OciImages([entries[0]]) as images, OciImages([entries[1]]) as stranger:
        yield images, stranger


@asynccontextmanager
async def _fake(_: Path) -> AsyncIterator[Store]:
    access = RegistryAccess(host="registry.example", paths=PATHS)
    images, stranger = FakeImages(registries=[access]), FakeImages(registries=[access])
    stranger.denied.add(access.host)

    async def put(path: str, tag: str | None, image: Image) -> None:
        for part in (*image.members, image):
            images.put(f"{access.host}/{path}", None, part.manifest, part.media_type)
        images.put(f"{access.host}/{path}", tag, image.manifest, image.media_type)

    async def stop() -> None:
        images.down.add(access.host)

    yield Store(access.host, images, stranger, put, stop)


@asynccontextmanager
async def _registry(folder: Path) -> AsyncIterator[Store]:
    async with (
        Registry(folder / "data", credentials=dict([CREDENTIALS])) as registry,
        _adapters(registry.host, folder) as (images, stranger),
    ):
        yield Store(registry.host, images, stranger, _pushing(registry.host, folder), registry.stop)


@asynccontextmanager
async def _docker_registry(folder: Path) -> AsyncIterator[Store]:
    with docker_registry(folder / "debian", guarded=True) as registry:
        async with _adapters(registry.host, folder) as (images, stranger):

            async def stop() -> None:
                await asyncio.to_thread(registry.stop)

            yield Store(registry.host, images, stranger, _pushing(registry.host, folder), stop)


_STORES: dict[str, Callable[[Path], AbstractAsyncContextManager[Store]]] = {
    "fake": _fake,
    "our-registry": _registry,
    "docker-registry": _docker_registry,
}


@pytest.fixture(params=_STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """One registry of each kind in turn."""
    async with _STORES[request.param](tmp_path) as opened:
        yield opened
