"""What every ImageInventory does: in memory, and on Artifact Registry's wire protocol over a registry with images."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.contracts.google import TOKEN
from tests.fakes.image_inventory import FakeImageInventory
from workers.adapters.google import artifact_registry
from workers.adapters.google.artifact_registry import ArtifactRegistry
from workers.adapters.google.connection import GoogleConnection
from workers.failures import Denied, Invalid, NotFound
from workers.local.google import GoogleServices, ServedRegistry
from workers.local.registry import Image, Registry, build_image, build_index, push, write_layout
from workers.ports import ImageInventory, StoredImage

LOCATION = "projects/acme/locations/europe"
APPS = f"{LOCATION}/repositories/apps"
SHOP = build_image([{"etc/name": b"shop"}])
INDEX = build_index([SHOP, build_image([{"etc/name": b"shop"}], architecture="arm64")])
SUBJECT = {"subject": {"mediaType": SHOP.media_type, "digest": SHOP.digest, "size": len(SHOP.manifest)}}
SBOM = build_image([{"sbom": b"{}"}], extra=SUBJECT | {"artifactType": "application/spdx+json"})


@dataclass
class Place:
    """An inventory, and a way to push an image to PATH[:TAG] of its registry."""

    inventory: ImageInventory
    host: str
    put: Callable[[str, Image], Awaitable[None]]
    deny: Callable[[str], None]
    """Take the permission to list a repository."""

    async def listed(self, repository: str = APPS, *, since: datetime | None = None) -> dict[str, StoredImage]:
        """Return what is listed, by address without the host."""
        found = [image async for image in self.inventory.of_repository(repository, since=since)]
        return {image.uri.removeprefix(f"{self.host}/"): image for image in found}


@asynccontextmanager
async def _memory(_: Path) -> AsyncIterator[Place]:
    inventory = FakeImageInventory()

    async def put(path: str, image: Image) -> None:
        path, _, tag = path.partition(":")
        for part in (*image.members, image):
            artifact_type = "application/spdx+json" if part is SBOM else None
            children = tuple(member.digest for member in part.members)
            uri, tags = f"registry.example/{path}@{part.digest}", (tag,) if tag and part is image else ()
            stored = StoredImage(uri, part.media_type, tags, datetime.now(UTC), artifact_type, children)
            inventory.put(f"{LOCATION}/repositories/{path.partition('/')[0]}", stored)

    yield Place(inventory, "registry.example", put, inventory.denied.add)


@asynccontextmanager
async def _artifact_registry(folder: Path) -> AsyncIterator[Place]:
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    async with Registry(folder / "registry") as registry:
        served = ServedRegistry(folder / "registry", registry.host, LOCATION)
        numbers = iter(range(1000))

        async def put(path: str, image: Image) -> None:
            layout = write_layout(folder / f"layout-{next(numbers)}", image)
            await asyncio.to_thread(push, layout, f"{registry.host}/{path}")

        async with GoogleServices(folder / "google", token=TOKEN, registry=served) as services:
            google = GoogleConnection(f"127.0.0.1:{services.grpc_port}", f"file://{token}")
            try:
                yield Place(ArtifactRegistry(google), registry.host, put, services.faults.deny)
            finally:
                await google.close()


_PLACES: dict[str, Callable[[Path], AbstractAsyncContextManager[Place]]] = {
    "memory": _memory,
    "artifact-registry": _artifact_registry,
}


@pytest.fixture(params=_PLACES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Give each place in turn."""
    async with _PLACES[request.param](tmp_path) as opened:
        yield opened


async def test_an_image_is_listed_with_its_tags_and_its_time(place: Place) -> None:
    """Address, digest, media type, tag and the time of the upload."""
    before = datetime.now(UTC) - timedelta(seconds=2)
    await place.put("apps/shop:1", SHOP)

    (image,) = (await place.listed()).values()
    assert image.uri == f"{place.host}/apps/shop@{SHOP.digest}"
    assert (image.digest, image.media_type, image.tags) == (SHOP.digest, SHOP.media_type, ("1",))
    assert image.uploaded_at is not None
    assert before <= image.uploaded_at <= datetime.now(UTC) + timedelta(seconds=2)
    assert (image.artifact_type, image.children) == (None, ())


async def test_an_index_is_listed_with_its_children(place: Place) -> None:
    """The images of its platforms are listed by themselves too, and it says which they are."""
    await place.put("apps/shop:1", INDEX)

    found = await place.listed()
    assert set(found) == {f"apps/shop@{one.digest}" for one in (INDEX, *INDEX.members)}
    assert found[f"apps/shop@{INDEX.digest}"].children == tuple(member.digest for member in INDEX.members)


async def test_an_artifact_is_listed_with_its_type(place: Place) -> None:
    """It can be told from an image without being fetched."""
    await place.put("apps/shop", SBOM)

    (found,) = (await place.listed()).values()
    assert (found.artifact_type, found.tags) == ("application/spdx+json", ())


async def test_only_what_was_uploaded_since_is_listed(place: Place) -> None:
    """Later than all uploads, nothing is left; earlier, everything is."""
    await place.put("apps/shop:1", SHOP)
    (image,) = (await place.listed()).values()
    assert image.uploaded_at is not None

    assert len(await place.listed(since=image.uploaded_at)) == 1
    assert await place.listed(since=image.uploaded_at + timedelta(seconds=1)) == {}


async def test_all_pages_are_listed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """More images than one answer holds are all there, each once."""
    monkeypatch.setattr(artifact_registry, "PAGE_SIZE", 2)
    for number in range(5):
        await place.put(f"apps/shop-{number}:1", SHOP)

    assert set(await place.listed()) == {f"apps/shop-{number}@{SHOP.digest}" for number in range(5)}


async def test_only_the_repository_is_listed(place: Place) -> None:
    """What lies in another one is another's."""
    await place.put("apps/shop:1", SHOP)
    await place.put("more/shop:1", SHOP)

    assert set(await place.listed()) == {f"apps/shop@{SHOP.digest}"}


async def test_a_repository_that_we_may_not_list_is_denied(place: Place) -> None:
    """An empty answer would look like nothing to sign."""
    await place.put("apps/shop:1", SHOP)
    place.deny(APPS)

    with pytest.raises(Denied, match=f"{APPS}.*roles/artifactregistry.reader"):
        await place.listed()


async def test_a_missing_repository_is_not_found(place: Place) -> None:
    """The sentence names it."""
    with pytest.raises(NotFound, match=f"{LOCATION}/repositories/none"):
        await place.listed(f"{LOCATION}/repositories/none")


@pytest.mark.parametrize("name", ["", "apps", "europe-docker.pkg.dev/acme/apps", f"{APPS}/dockerImages/x"])
async def test_what_is_no_repository_is_invalid(place: Place, name: str) -> None:
    """Nothing is asked."""
    with pytest.raises(Invalid, match="is no repository"):
        await place.listed(name)
