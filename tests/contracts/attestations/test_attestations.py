"""What every Attestations does: in memory, and on Artifact Analysis's wire protocol."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from tests.contracts.google import PROJECT, GoogleWorld, google_world
from tests.fakes.attestations import FakeAttestations
from tests.fakes.clock import FakeClock
from workers.adapters.google.attestations import GrafeasAttestations
from workers.failures import NotFound
from workers.ports import Attestation, Attestations

DIGEST = "sha256:" + "a" * 64
OTHER_DIGEST = "sha256:" + "b" * 64
URI = f"europe-docker.pkg.dev/acme/apps/shop@{DIGEST}"
NOTE = f"{PROJECT}/notes/ci"
GOOD = Attestation(NOTE, f"https://{URI}", b'{"critical": {}}\n', "ni:///sha-256;one", b"\x30\x01\xff")


class Place(Protocol):
    """Somewhere attestations are kept; `settle` waits out the read lag."""

    attestations: Attestations

    async def settle(self) -> None:
        """Let what was created become visible."""


class InMemory:
    """The fake."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.attestations: Attestations = FakeAttestations(self.clock, notes={NOTE, f"{PROJECT}/notes/second"})

    async def settle(self) -> None:
        """Let the time pass."""
        await self.clock.sleep(self.attestations.read_lag)


class OnGrafeas:
    """The adapter in front of the local Artifact Analysis, whose lists lag a little."""

    def __init__(self, world: GoogleWorld) -> None:
        self.world = world
        self.attestations: Attestations = GrafeasAttestations(world.connection, read_lag=timedelta(seconds=0.2))
        world.faults.lag(0.1)

    async def settle(self) -> None:
        """Wait for as long as the adapter says, on the real clock: that it suffices is part of the contract."""
        await asyncio.sleep(self.attestations.read_lag.total_seconds())


@pytest.fixture(params=["memory", "grafeas"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Give each place in turn."""
    if request.param == "memory":
        yield InMemory()
        return
    async with google_world(tmp_path) as world:
        await world.note("ci")
        await world.note("second")
        yield OnGrafeas(world)


async def create(place: Place, attestation: Attestation) -> Attestation:
    """Store an attestation in the project."""
    return await place.attestations.create(PROJECT, attestation, timeout=30)


async def test_what_was_stored_is_found_again_unchanged(place: Place) -> None:
    """Payload and signature are kept byte for byte; the name and the time are the store's."""
    stored = await create(place, GOOD)
    await place.settle()
    (found,) = await place.attestations.find(NOTE, DIGEST)

    assert found == stored
    assert stored.name is not None
    assert stored.name.startswith(f"{PROJECT}/occurrences/")
    assert stored.created_at is not None
    assert stored.created_at.tzinfo is not None
    assert replace(stored, name=None, created_at=None) == GOOD


async def test_both_forms_of_the_resource_are_found(place: Place) -> None:
    """With and without the scheme, and in whichever repository."""
    await create(place, GOOD)
    await create(place, replace(GOOD, resource_uri=URI))
    await create(place, replace(GOOD, resource_uri=f"https://gcr.io/mirror/shop@{DIGEST}"))
    await place.settle()

    assert len(await place.attestations.find(NOTE, DIGEST)) == 3


async def test_the_oldest_comes_first(place: Place) -> None:
    """In the order of creation."""
    first = await create(place, GOOD)
    second = await create(place, replace(GOOD, key_id="ni:///sha-256;two"))
    await place.settle()

    names = [found.name for found in await place.attestations.find(NOTE, DIGEST)]
    assert names == [first.name, second.name]


async def test_other_digests_and_other_notes_are_not_found(place: Place) -> None:
    """Only what was asked for."""
    await create(place, replace(GOOD, resource_uri=GOOD.resource_uri.replace(DIGEST, OTHER_DIGEST)))
    await create(place, replace(GOOD, note=f"{PROJECT}/notes/second"))
    await place.settle()

    assert await place.attestations.find(NOTE, DIGEST) == ()


async def test_what_was_removed_is_gone_and_may_be_removed_again(place: Place) -> None:
    """Removing twice is fine."""
    stored = await create(place, GOOD)
    await place.settle()
    assert stored.name is not None
    await place.attestations.delete(stored.name)
    await place.attestations.delete(stored.name)

    assert await place.attestations.find(NOTE, DIGEST) == ()


async def test_a_missing_note_is_not_found(place: Place) -> None:
    """Neither listed nor attached to."""
    missing = f"{PROJECT}/notes/missing"
    with pytest.raises(NotFound, match="projects/acme/notes/missing"):
        await place.attestations.find(missing, DIGEST)
    with pytest.raises(NotFound, match="projects/acme/notes/missing"):
        await create(place, replace(GOOD, note=missing))


async def of_note(place: Place, since: datetime | None = None) -> list[str]:
    """Return the names of the attestations of the note, sorted."""
    return sorted([one.name or "" async for one in place.attestations.of_note(NOTE, since=since)])


async def test_all_attestations_of_a_note_are_listed(place: Place) -> None:
    """Of whichever image, and none of another note."""
    first = await create(place, GOOD)
    second = await create(place, replace(GOOD, resource_uri=GOOD.resource_uri.replace(DIGEST, OTHER_DIGEST)))
    await create(place, replace(GOOD, note=f"{PROJECT}/notes/second"))
    await place.settle()

    assert await of_note(place) == sorted([str(first.name), str(second.name)])


async def test_those_before_a_time_are_left_out(place: Place) -> None:
    """At that time counts as since."""
    first = await create(place, GOOD)
    await place.settle()
    second = await create(place, replace(GOOD, key_id="ni:///sha-256;two"))
    await place.settle()
    assert first.created_at is not None
    assert second.created_at is not None

    assert await of_note(place, second.created_at) == [second.name]
    assert await of_note(place, second.created_at + timedelta(seconds=1)) == []
    assert len(await of_note(place, first.created_at)) == 2


async def test_the_attestations_of_a_missing_note_are_not_found(place: Place) -> None:
    """None is not the same as no note."""
    with pytest.raises(NotFound, match="projects/acme/notes/missing"):
        await anext(aiter(place.attestations.of_note(f"{PROJECT}/notes/missing")))


async def test_what_is_stored_is_got_by_its_name(place: Place) -> None:
    """At once, without waiting for lists; a name that is none is not found."""
    stored = await create(place, GOOD)

    assert await place.attestations.get(str(stored.name)) == (stored,)
    with pytest.raises(NotFound, match="projects/acme/occurrences/missing"):
        await place.attestations.get("projects/acme/occurrences/missing")
