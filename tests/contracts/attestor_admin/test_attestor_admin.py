"""What every AttestorAdmin does: in memory, on Binary Authorization's wire protocol, and (live) in the cloud."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from tests.contracts.attestor_admin.public_keys import ALGORITHMS, public_key
from tests.contracts.google import PROJECT, google_world
from tests.fakes.attestor_admin import FakeAttestorAdmin
from tests.fakes.clock import FakeClock
from tests.fakes.notes import FakeNotes
from workers.adapters.clock import SystemClock
from workers.adapters.google.attestor_admin import BinauthzAttestorAdmin
from workers.adapters.google.connection import GoogleConnection
from workers.adapters.google.notes import GrafeasNotes
from workers.attestors import amend
from workers.failures import Invalid, NotFound, Unavailable
from workers.ports import AttestorAdmin, AttestorRecord, Clock, Note, Notes, PublicKey

EC = "ECDSA_P256_SHA256"


class Place:
    """Somewhere attestors are kept: the port, the notes beside it, and a name that is free there."""

    def __init__(self, admin: AttestorAdmin, notes: Notes, clock: Clock, project: str) -> None:
        self.admin, self.notes, self.clock, self.project = admin, notes, clock, project
        self.id = f"t{uuid4().hex}"

    @property
    def name(self) -> str:
        """Return the name of the test's attestor."""
        return f"{self.project}/attestors/{self.id}"

    def wanted(self, *algorithms: str) -> AttestorRecord:
        """Return an attestor with new keys, to be made."""
        note = f"{self.project}/notes/{self.id}"
        return AttestorRecord(self.name, note, tuple(public_key(algorithm) for algorithm in algorithms), "built by CI")

    async def make(self, *algorithms: str) -> AttestorRecord:
        """Make the note and the attestor."""
        await self.notes.create(Note(f"{self.project}/notes/{self.id}", "ATTESTATION", "CI"), timeout=30)
        return await self.admin.create(self.wanted(*algorithms), timeout=30)


@pytest.fixture(params=["memory", "binauthz", pytest.param("cloud", marks=pytest.mark.live)])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """Give each place in turn; in the cloud it is the project LIVE_PROJECT, and the attestor is removed again."""
    if request.param == "memory":
        yield Place(FakeAttestorAdmin(), FakeNotes(), FakeClock(), PROJECT)
    elif request.param == "binauthz":
        async with google_world(tmp_path) as world:
            connection = world.connection
            yield Place(BinauthzAttestorAdmin(connection), GrafeasNotes(connection), SystemClock(), PROJECT)
    else:
        connection, project = GoogleConnection(), f"projects/{os.environ['LIVE_PROJECT']}"
        place = Place(BinauthzAttestorAdmin(connection), GrafeasNotes(connection), SystemClock(), project)
        yield place
        await place.admin.delete(place.name)
        await connection.close()


async def test_what_was_made_is_read_as_it_was_made(place: Place) -> None:
    """Note, description and keys; the etag and the reader of the note are the service's."""
    made = await place.make(EC)
    read = await place.admin.read(place.name)

    assert read == made
    assert (read.name, read.note, read.description) == (
        place.name,
        f"{place.project}/notes/{place.id}",
        "built by CI",
    )
    assert read.etag
    assert "@" in read.service_account


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_key_of_every_algorithm_is_kept(place: Place, algorithm: str) -> None:
    """Algorithm and key come back as they were given, with the id that is their own."""
    wanted = place.wanted(algorithm).keys[0]
    made = await place.make()
    await place.admin.update(replace(made, keys=(wanted,)), timeout=30)
    (found,) = (await place.admin.read(place.name)).keys

    assert found.algorithm == algorithm
    assert found.pem.strip() == wanted.pem.strip()
    own = r"[0-9A-F]{40}" if algorithm == "OPENPGP" else r"ni:///sha-256;[\w-]{43}"
    assert re.fullmatch(own, found.id)


async def test_ids_and_comments_of_keys_stay(place: Place) -> None:
    """An id of one's own is not replaced, and what was said of a key is not lost by a later change."""
    made = await place.make()
    key = public_key(EC, f"//cloudkms.googleapis.com/v1/{place.project}/x", "of the release line")
    made = await place.admin.update(replace(made, keys=(key,)), timeout=30)
    await place.admin.update(replace(made, description="another"), timeout=30)
    read = await place.admin.read(place.name)

    assert read.description == "another"
    assert [(found.id, found.comment) for found in read.keys] == [(key.id, key.comment)]


async def test_a_missing_attestor_is_not_found(place: Place) -> None:
    """Neither read nor updated; removing it is fine."""
    with pytest.raises(NotFound, match=place.id):
        await place.admin.read(place.name)
    with pytest.raises(NotFound, match=place.id):
        await place.admin.update(replace(place.wanted(), etag='"1"'), timeout=30)
    await place.admin.delete(place.name)


async def test_what_was_removed_is_gone(place: Place) -> None:
    """And the note stays."""
    made = await place.make(EC)
    await place.admin.delete(place.name)

    with pytest.raises(NotFound):
        await place.admin.read(place.name)
    assert (await place.notes.get(made.note)).kind == "ATTESTATION"


async def test_one_that_exists_is_not_made_again(place: Place) -> None:
    """Who made it at the same time is not undone: a reason to look."""
    made = await place.make(EC)
    with pytest.raises(Unavailable, match="exists already"):
        await place.admin.create(place.wanted(), timeout=30)

    assert await place.admin.read(place.name) == made


async def test_an_update_of_what_changed_meanwhile_is_refused(place: Place) -> None:
    """The etag is that of an earlier attestor, so nothing is written."""
    made = await place.make(EC)
    changed = await place.admin.update(replace(made, description="second"), timeout=30)
    with pytest.raises(Unavailable):
        await place.admin.update(replace(made, description="third"), timeout=30)

    assert changed.etag != made.etag
    assert (await place.admin.read(place.name)).description == "second"


async def test_an_update_without_an_etag_is_refused(place: Place) -> None:
    """It could undo what somebody else did."""
    made = await place.make(EC)
    with pytest.raises(Invalid, match="etag"):
        await place.admin.update(replace(made, etag="", keys=()), timeout=30)


async def test_the_note_cannot_change(place: Place) -> None:
    """An attestor is made for one note."""
    made = await place.make(EC)
    with pytest.raises(Invalid):
        await place.admin.update(replace(made, note=f"{place.project}/notes/another"), timeout=30)


async def test_a_key_of_another_algorithm_is_refused(place: Place) -> None:
    """P-256 registered as P-384 would never verify anything."""
    made = await place.make()
    key = replace(public_key(EC), algorithm="ECDSA_P384_SHA384")
    with pytest.raises(Invalid):
        await place.admin.update(replace(made, keys=(key,)), timeout=30)


async def test_all_attestors_of_a_project_are_listed(place: Place) -> None:
    """By name, and none of another project."""
    made = await place.make(EC)

    listed = await place.admin.list(place.project)
    assert [one for one in listed if one.name == place.name] == [made]
    assert [one.name for one in listed] == sorted(one.name for one in listed)


def adding(key: PublicKey) -> Callable[[AttestorRecord], AttestorRecord]:
    """Return the change that adds a key."""
    return lambda found: replace(found, keys=(*found.keys, key))


async def test_two_who_add_a_key_at_once_add_both(place: Place) -> None:
    """Whoever comes second reads again and applies the change again: no update is lost."""
    await place.make()
    keys = [public_key(EC) for _ in range(4)]
    await asyncio.gather(*(amend(place.admin, place.clock, place.name, adding(key)) for key in keys))

    read = await place.admin.read(place.name)
    assert {key.pem.strip() for key in read.keys} == {key.pem.strip() for key in keys}


async def test_a_change_that_changes_nothing_is_not_written(place: Place) -> None:
    """The etag stays, and with it what others are about to write."""
    made = await place.make(EC)

    assert await amend(place.admin, place.clock, place.name, lambda found: found) == made
    assert (await place.admin.read(place.name)).etag == made.etag
