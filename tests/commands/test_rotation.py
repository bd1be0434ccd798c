"""`sealane attestor rotate` on the world in a box, without workers: what it publishes, and what it refuses."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.attestors import AttestorRotate
from tests.commands.command import Finished, Sealane
from workers.app.connecting import connect_as
from workers.app.pushing import push_image
from workers.app.world import World
from workers.bus.doors.follow import follow
from workers.bus.topology.streams import EVENTS
from workers.local.folder import WorldFolder


class Box:
    """The running world, and an image in it."""

    def __init__(self, world: World, image: str, digest: str) -> None:
        self.world, self.image, self.digest = world, image, digest

    async def __call__(self, *arguments: str) -> Finished:
        """Run the command."""
        sealane = Sealane("", self.world.folder.root)
        del sealane._environment["SEALANE_NATS"]
        return await sealane("attestor", "rotate", *arguments, "--data", str(self.world.folder.root))

    async def published(self) -> list[AttestorRotate]:
        """Return the events on the bus."""
        async with connect_as("operator", self.world.folder.root) as connection:
            stored = follow(connection, EVENTS, AttestorRotate.event_type, live=False)
            return [AttestorRotate.model_validate_json(one.body) async for one in stored]


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    """Start the world and push an image."""
    async with World(WorldFolder(tmp_path / "world"), with_workers=False) as world:
        image = f"{world.endpoints['registry']}/apps/shop:1"
        yield Box(world, image, await push_image(world.folder, image, "hello"))


async def test_a_rotation_is_one_event_and_a_tag_is_pinned_before(box: Box) -> None:
    """The attestor in full, a date in UTC, each image by its digest; the same id again stores nothing anew."""
    repository = box.image.rpartition(":")[0]
    pinned = f"{repository}@{box.digest}"
    arguments = ("built-by-ci", "--since", "2026-05-01", "--image", box.image, "--image", pinned, "--id", "7", "--json")
    first, again = await box(*arguments), await box(*arguments)

    assert (first.code, again.code) == (0, 0), first.err + again.err
    assert [done.lines[0]["duplicate"] for done in (first, again)] == [False, True]
    (event,) = await box.published()
    assert event.attestor == box.world.names.attestor
    assert event.since is not None
    assert event.since.isoformat() == "2026-05-01T00:00:00+00:00"
    assert (event.images, event.prune) == ((pinned,), False)


async def test_what_cannot_be_meant_is_refused_before_anything_is_published(box: Box) -> None:
    """No attestor, no image, an image that is not there, a date that is none, a time limit for nothing."""
    host = box.world.endpoints["registry"]
    for arguments, sentence in (
        (("not an attestor",), "is not an attestor"),
        (("a", "--image", "https://x/y"), "is not an image reference"),
        (("a", "--image", f"{host}/apps/nowhere:1"), "has no image apps/nowhere"),
        (("a", "--since", "yesterday"), "yesterday"),
        (("a", "--timeout", "3"), "give both, or neither"),
    ):
        done = await box(*arguments)
        assert done.code in {1, 2}
        assert sentence in done.err

    assert await box.published() == []
