"""What every Notes does: in memory, and on Artifact Analysis's wire protocol."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contracts.google import PROJECT, google_world
from tests.fakes.notes import FakeNotes
from workers.adapters.google.notes import GrafeasNotes
from workers.failures import Invalid, NotFound, Unavailable
from workers.ports import Note, Notes

NOTE = Note(f"{PROJECT}/notes/ci", "ATTESTATION", "Built by CI")


@pytest.fixture(params=["memory", "grafeas"])
async def notes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Notes]:
    """Give each place in turn."""
    if request.param == "memory":
        yield FakeNotes()
        return
    async with google_world(tmp_path) as world:
        yield GrafeasNotes(world.connection)


async def test_a_note_is_there_once_it_was_made(notes: Notes) -> None:
    """With its kind and its hint."""
    assert await notes.create(NOTE, timeout=30) == NOTE
    assert await notes.get(NOTE.name) == NOTE


async def test_a_missing_note_is_not_found(notes: Notes) -> None:
    """The name is in the sentence."""
    with pytest.raises(NotFound, match="projects/acme/notes/ci"):
        await notes.get(NOTE.name)


async def test_a_note_is_made_once(notes: Notes) -> None:
    """Who made it before is not undone."""
    await notes.create(NOTE, timeout=30)
    with pytest.raises(Unavailable, match="exists already"):
        await notes.create(Note(NOTE.name, "ATTESTATION", "another"), timeout=30)

    assert await notes.get(NOTE.name) == NOTE


async def test_a_note_without_a_hint_is_refused(notes: Notes) -> None:
    """Nobody would know whose attestations these are."""
    with pytest.raises(Invalid):
        await notes.create(Note(NOTE.name, "ATTESTATION"), timeout=30)
