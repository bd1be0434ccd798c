"""Container Analysis: notes, occurrences, their lists, filters and pages."""

from typing import Any

import pytest
from google.api_core import exceptions

from tests.local.google.clients import Clients
from tests.local.google.scenes import ATTESTATION_NOTE, DIGEST, NOTE, PROJECT, RESOURCE, make_note, occurrence


async def test_a_note_comes_back_with_its_kind_and_times(clients: Clients) -> None:
    """The kind follows from the details, name and times are the server's."""
    created = await make_note(clients)

    assert (created.name, created.kind.name) == (NOTE, "ATTESTATION")
    assert created.create_time == created.update_time
    assert await clients.grafeas.get_note(name=NOTE) == created


async def test_a_note_is_updated_by_mask_and_deleted(clients: Clients) -> None:
    """Only the named field changes; a deleted note is not found."""
    created = await make_note(clients)
    changed = await clients.grafeas.update_note(
        name=NOTE, note={"short_description": "new"}, update_mask={"paths": ["short_description"]}
    )

    assert changed.short_description == "new"
    assert changed.attestation == created.attestation
    await clients.grafeas.delete_note(name=NOTE)
    with pytest.raises(exceptions.NotFound):
        await clients.grafeas.get_note(name=NOTE)


async def test_notes_are_made_in_batches_and_filtered_by_kind(clients: Clients) -> None:
    """A batch makes all, and the list shows those of the kind asked for."""
    notes = {"a": ATTESTATION_NOTE, "b": ATTESTATION_NOTE, "v": {"vulnerability": {"severity": "HIGH"}}}
    await clients.grafeas.batch_create_notes(parent=PROJECT, notes=notes)
    listed = await clients.grafeas.list_notes(parent=PROJECT, filter='kind="ATTESTATION"', page_size=1)

    assert sorted(note.name for note in listed) == [f"{PROJECT}/notes/a", f"{PROJECT}/notes/b"]


async def test_a_failed_batch_makes_nothing(over_grpc: Clients) -> None:
    """One name that is taken undoes the whole batch."""
    await make_note(over_grpc)
    notes = {"a": ATTESTATION_NOTE, "reviewed": ATTESTATION_NOTE, "z": ATTESTATION_NOTE}
    with pytest.raises(exceptions.AlreadyExists):
        await over_grpc.grafeas.batch_create_notes(parent=PROJECT, notes=notes)

    assert [note.name for note in await over_grpc.grafeas.list_notes(parent=PROJECT)] == [NOTE]


async def test_an_occurrence_comes_back_with_its_note(clients: Clients) -> None:
    """Create, get, the note of an occurrence, and delete."""
    note = await make_note(clients)
    created = await clients.grafeas.create_occurrence(parent=PROJECT, occurrence=occurrence(b"\x00\xff\xfe"))

    assert created.kind.name == "ATTESTATION"
    assert created.attestation.signatures[0].signature == b"\x00\xff\xfe"
    assert await clients.grafeas.get_occurrence(name=created.name) == created
    assert await clients.grafeas.get_occurrence_note(name=created.name) == note
    await clients.grafeas.delete_occurrence(name=created.name)
    with pytest.raises(exceptions.NotFound):
        await clients.grafeas.get_occurrence(name=created.name)


@pytest.mark.parametrize("path", ["kind", "nothing", "attestation.nothing", "short_description.x"])
async def test_a_mask_that_names_what_cannot_change_is_refused(over_grpc: Clients, path: str) -> None:
    """An output-only or unknown field, or one below a text."""
    await make_note(over_grpc)
    note = {"short_description": "new", "attestation": {"hint": {"human_readable_name": "new"}}}
    with pytest.raises(exceptions.InvalidArgument, match=f"'{path}', which cannot be changed"):
        await over_grpc.grafeas.update_note(name=NOTE, note=note, update_mask={"paths": [path]})


async def test_an_occurrence_is_updated_by_mask(clients: Clients) -> None:
    """The resource can change, and lists find it under the new one; the note cannot."""
    await make_note(clients)
    made = await clients.grafeas.create_occurrence(parent=PROJECT, occurrence=occurrence())
    change = {"name": made.name, "update_mask": {"paths": ["resource_uri"]}}
    await clients.grafeas.update_occurrence(**change, occurrence={"resource_uri": "https://elsewhere"})
    found = await clients.grafeas.list_occurrences(parent=PROJECT, filter='resourceUrl="https://elsewhere"')

    assert [one.name for one in found] == [made.name]
    with pytest.raises(exceptions.BadRequest, match="'note_name', which cannot be changed"):
        await clients.grafeas.update_occurrence(name=made.name, update_mask={"paths": ["note_name"]})


async def test_location_scoped_names_are_a_world_of_their_own(clients: Clients) -> None:
    """Notes and occurrences may live in a location of a project."""
    parent = f"{PROJECT}/locations/europe-west3"
    note = await clients.grafeas.create_note(parent=parent, note_id="here", note=ATTESTATION_NOTE)
    made = await clients.grafeas.create_occurrence(parent=parent, occurrence=occurrence(note=note.name))

    assert made.name.startswith(f"{parent}/occurrences/")
    assert await clients.grafeas.list_occurrences(parent=parent) == [made]
    assert await clients.grafeas.list_note_occurrences(name=note.name) == [made]
    assert await clients.grafeas.list_occurrences(parent=PROJECT) == []


async def test_lists_are_paged_without_gap_or_repeat(clients: Clients) -> None:
    """A page holds 20 unless asked otherwise; a pager sees each occurrence once, in order."""
    await make_note(clients)
    many = [occurrence(str(number).encode()) for number in range(45)]
    made = (await clients.grafeas.batch_create_occurrences(parent=PROJECT, occurrences=many)).occurrences
    names = [one.name for one in made]

    for size in (0, 7, 45, 1000):
        listed = await clients.grafeas.list_occurrences(parent=PROJECT, page_size=size)
        assert [one.name for one in listed] == names
        listed = await clients.grafeas.list_note_occurrences(name=NOTE, page_size=size)
        assert [one.name for one in listed] == names


async def test_the_first_page_holds_twenty(over_grpc: Clients) -> None:
    """Whoever does not page misses the rest."""
    await make_note(over_grpc)
    many = [occurrence(str(number).encode()) for number in range(21)]
    await over_grpc.grafeas.batch_create_occurrences(parent=PROJECT, occurrences=many)
    pager = await over_grpc.grafeas.client.list_occurrences(parent=PROJECT)
    pages = [len(page.occurrences) async for page in pager.pages]

    assert pages == [20, 1]


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ({"page_size": 1001}, "page_size is 1001"),
        ({"page_size": -1}, "page_size is -1"),
        ({"page_token": "nonsense"}, "page_token is not one"),
        ({"parent": "projects/Demo"}, "parent"),
    ],
)
async def test_bad_lists_are_refused(over_grpc: Clients, part: dict[str, Any], sentence: str) -> None:
    """Sizes out of bounds, foreign tokens and bad names are INVALID_ARGUMENT."""
    with pytest.raises(exceptions.InvalidArgument, match=sentence):
        await over_grpc.grafeas.list_occurrences(**({"parent": PROJECT} | part))


async def test_a_token_fits_its_own_list_only(over_grpc: Clients) -> None:
    """The token of one filter is refused with another."""
    await make_note(over_grpc)
    many = [occurrence(str(number).encode()) for number in range(3)]
    await over_grpc.grafeas.batch_create_occurrences(parent=PROJECT, occurrences=many)
    pager = await over_grpc.grafeas.client.list_occurrences(request={"parent": PROJECT, "page_size": 1})
    with pytest.raises(exceptions.InvalidArgument, match="belongs to another list"):
        await over_grpc.grafeas.list_occurrences(
            parent=PROJECT, filter='kind="ATTESTATION"', page_token=pager.next_page_token
        )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {"a", "b", "c"}),
        (f'has_suffix(resourceUrl, "{DIGEST}")', {"a", "b"}),
        (f'resourceUrl="{RESOURCE}"', {"a"}),
        ('has_prefix(resourceUrl, "https://")', {"a", "c"}),
        (f'kind="ATTESTATION" AND has_suffix(resource_url,"{DIGEST}") AND noteId="reviewed"', {"a", "b"}),
        ('kind="VULNERABILITY"', set()),
        ('noteProjectId="demo" AND noteId="other"', {"c"}),
        ('noteProjectId="dem"', set()),
        ('has_suffix(resourceUrl, "%")', set()),
    ],
)
async def test_filters_select(clients: Clients, text: str, found: set[str]) -> None:
    """Each filter finds what it says, with the terms joined by AND."""
    await make_note(clients)
    other = await make_note(clients, "other")
    given = {
        "a": occurrence(resource=RESOURCE),
        "b": occurrence(resource=RESOURCE.removeprefix("https://")),
        "c": occurrence(resource="https://elsewhere", note=other.name),
    }
    names = {}
    for key, one in given.items():
        names[(await clients.grafeas.create_occurrence(parent=PROJECT, occurrence=one)).name] = key
    listed = await clients.grafeas.list_occurrences(parent=PROJECT, filter=text)

    assert {names[one.name] for one in listed} == found


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('severity="HIGH"', 'severity="HIGH"'),
        ('kind="ATTESTATION" OR noteId="n"', 'OR noteId="n"'),
        ('kind!="ATTESTATION"', 'kind!="ATTESTATION"'),
        ('contains(resourceUrl, "x")', 'contains(resourceUrl, "x")'),
        ('has_suffix(noteId, "x")', 'has_suffix(noteId, "x")'),
        ('kind="ATTESTATION" AND', ""),
    ],
)
async def test_a_filter_that_is_not_understood_is_refused(over_grpc: Clients, text: str, part: str) -> None:
    """Ignoring a term would answer too much: INVALID_ARGUMENT names it."""
    with pytest.raises(exceptions.InvalidArgument) as caught:
        await over_grpc.grafeas.list_occurrences(parent=PROJECT, filter=text)

    assert part in caught.value.message


@pytest.mark.parametrize(
    ("part", "error", "sentence"),
    [
        ({"note_name": f"{PROJECT}/notes/missing"}, exceptions.NotFound, "Note projects/demo/notes/missing not found"),
        ({"note_name": "reviewed"}, exceptions.InvalidArgument, "note_name"),
        ({"resource_uri": ""}, exceptions.InvalidArgument, "resource_uri is empty"),
        ({"attestation": {"signatures": [{}]}}, exceptions.InvalidArgument, "serialized_payload is empty"),
        ({"attestation": {"serialized_payload": b"x"}}, exceptions.InvalidArgument, "signatures is empty"),
        ({"attestation": None}, exceptions.InvalidArgument, "occurrence has no details"),
        ({"kind": "BUILD"}, exceptions.InvalidArgument, "kind is BUILD"),
    ],
)
async def test_bad_occurrences_are_refused(
    over_grpc: Clients, part: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    """What lacks a note, a resource, a payload or a signature is not stored."""
    await make_note(over_grpc)
    with pytest.raises(error, match=sentence):
        await over_grpc.grafeas.create_occurrence(parent=PROJECT, occurrence=occurrence() | part)

    assert await over_grpc.grafeas.list_occurrences(parent=PROJECT) == []


async def test_an_attestation_needs_an_attestation_note(over_grpc: Clients) -> None:
    """The kinds of note and occurrence must be the same."""
    note = {"vulnerability": {"severity": "HIGH"}}
    made = await over_grpc.grafeas.create_note(parent=PROJECT, note_id="cve", note=note)
    with pytest.raises(exceptions.InvalidArgument, match="is of kind VULNERABILITY"):
        await over_grpc.grafeas.create_occurrence(parent=PROJECT, occurrence=occurrence(note=made.name))


@pytest.mark.parametrize(
    ("note", "sentence"),
    [({}, "note has no details"), ({"attestation": {}}, "human_readable_name is empty")],
)
async def test_bad_notes_are_refused(over_grpc: Clients, note: dict[str, Any], sentence: str) -> None:
    """A note without a kind, or an authority without a name, is INVALID_ARGUMENT."""
    with pytest.raises(exceptions.InvalidArgument, match=sentence):
        await over_grpc.grafeas.create_note(parent=PROJECT, note_id="n", note=note)
