"""Identities repeat when the work repeats, and never otherwise."""

import re

from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.identity import ID_PATTERN, digest_of, follow_up_id, message_id, run_id

PARTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=4)


@given(PARTS, PARTS)
def test_different_parts_never_share_a_digest(left: list[str], right: list[str]) -> None:
    """Each part is hashed with its length, so that moving a border changes the digest."""
    assume(left != right)

    assert digest_of(*left) != digest_of(*right)


def test_moved_borders_change_the_digest() -> None:
    """Parts cannot imitate other parts by holding a length or a colon."""
    assert len({digest_of(*parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("2:ab", "c"), ("", "abc"))}) == 5


@given(PARTS)
def test_digest_may_stand_in_a_subject(parts: list[str]) -> None:
    """Every digest is one subject token and a legal run id."""
    assert re.fullmatch(ID_PATTERN.strip("^$"), digest_of(*parts))


def test_same_id_from_two_sources_is_two_events() -> None:
    """Two systems which both send id 42 lose nothing."""
    assert message_id("image.pushed", "//a", "42") != message_id("image.pushed", "//b", "42")


def test_same_id_of_two_types_is_two_events() -> None:
    """One system may number each type for itself."""
    assert message_id("image.pushed", "//a", "42") != message_id("image.attested", "//a", "42")


def test_repeat_of_an_event_joins_the_same_run() -> None:
    """A run is derived from the identity of its first event, not from its type, time or content."""
    assert run_id("//ci", "42") == run_id("//ci", "42") != run_id("//ci", "43")


def test_ids_of_different_purpose_differ() -> None:
    """Nobody may choose an event id that pre-empts a run or a follow-up."""
    assert len({message_id("a", "b", "c"), run_id("b", "c"), follow_up_id("a", "b", "c", "")}) == 3
