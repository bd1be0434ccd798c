"""The pure decisions of a rotation: which keys, what to list, when to look again; and how little is kept of a note."""

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.rekey.world import ATTESTOR, HOST, NEW, NEW_ID, NOTE, OLD, OLD_ID, OTHER, OTHER_ID, World
from workers.failures import Invalid, Unavailable
from workers.ports import Attestation, AttestorRecord
from workers.rekey.journal import Journal, read_journal
from workers.rekey.ledger import Ledger
from workers.rekey.rules import (
    Change,
    Look,
    Pair,
    Succession,
    change_of,
    deadline,
    named,
    next_look,
    successions,
    with_new,
    without_old,
)
from workers.rotation import RotationPace

NOW = datetime(2026, 5, 1, 14, 0, tzinfo=UTC)
PACE = RotationPace()


@pytest.mark.parametrize(
    ("more", "changes", "sentence"),
    [
        ((), {"next_key": None}, "names a next_key"),
        ((), {"attestor": "projects/acme/attestors/other"}, "no signing rule names the attestor"),
        (({"key": NEW, "next_key": OTHER},), {}, "both to come and to go"),
        (({"key": OLD, "match": "quay.io/**"},), {}, "signing rule 2 .quay.io/.*. goes on signing"),
    ],
)
def test_rules_that_say_no_succession_are_refused(
    world: World, more: tuple[dict[str, str], ...], changes: dict[str, str], sentence: str
) -> None:
    """The sentence says what to write."""
    world.rule(*({"match": f"{HOST}/**", "attestor": ATTESTOR} | one for one in more), **changes)

    with pytest.raises(Invalid, match=sentence):
        successions(world.rules, ATTESTOR)


def test_two_keys_of_one_attestor_may_be_replaced_at_once(world: World) -> None:
    """Each rule has its own succession; the same one twice counts once."""
    world.rule(
        {"match": "quay.io/**", "attestor": ATTESTOR, "key": OLD, "next_key": NEW},
        {"match": "gcr.io/**", "attestor": ATTESTOR, "key": OTHER, "next_key": NEW},
    )

    assert successions(world.rules, ATTESTOR) == (Succession(OLD, NEW), Succession(OTHER, NEW))


def _pair(world: World) -> Pair:
    return Pair(Succession(OLD, NEW), world.keys._public(OLD), world.keys._public(NEW))


def test_a_key_is_found_under_every_id_that_the_attestor_gave_it(world: World) -> None:
    """The same public half may be listed twice; both go, and the new one comes under gcloud's id."""
    listed = (world.public(OLD, OLD_ID), world.public(OLD, "ni:///sha-256;x"), world.public(OTHER, OTHER_ID))
    record = AttestorRecord(ATTESTOR, NOTE, listed)
    change = change_of(record, [_pair(world)])
    both = with_new(record, change)
    alone = without_old(both, change)

    assert change.old == {OLD_ID, "ni:///sha-256;x"}
    assert [key.id for key in both.keys] == [OLD_ID, "ni:///sha-256;x", OTHER_ID, NEW_ID]
    assert [key.id for key in alone.keys] == [OTHER_ID, NEW_ID]


def test_the_old_key_never_goes_while_the_new_one_is_not_listed(world: World) -> None:
    """Somebody removed the new one meanwhile."""
    record = AttestorRecord(ATTESTOR, NOTE, (world.public(OLD, OLD_ID),))

    with pytest.raises(Unavailable, match="the old key stays"):
        without_old(record, change_of(record, [_pair(world)]))


def test_what_would_be_no_succession_is_refused(world: World) -> None:
    """Neither key listed, the next id taken, the next key under a wrong algorithm, one key twice."""
    old, new = world.public(OLD, OLD_ID), world.public(NEW, NEW_ID)
    pair = _pair(world)
    for keys, wanted, sentence in (
        ((), pair, "lists neither"),
        ((old, replace(world.public(OTHER, OTHER_ID), id=NEW_ID)), pair, "another key under the id"),
        ((old, replace(new, algorithm="ECDSA_P384_SHA384")), pair, "list it with ECDSA_P256_SHA256"),
        ((old,), replace(pair, new=old), "one and the same key"),
    ):
        with pytest.raises(Invalid, match=sentence):
            change_of(AttestorRecord(ATTESTOR, NOTE, keys), [wanted])


def test_looks_are_further_apart_the_longer_it_takes() -> None:
    """Half of what it takes yet, between the soonest and the latest; ever longer while nothing happens."""
    look = Look(NOW, total=1000, signed=400, proven=400, per_second=0.4)

    assert next_look(look, timedelta(0), PACE) == timedelta(seconds=525)
    assert next_look(replace(look, per_second=0.1), timedelta(0), PACE) == timedelta(minutes=10)
    assert next_look(replace(look, signed=980, proven=980), timedelta(0), PACE) == timedelta(seconds=25)
    assert next_look(replace(look, per_second=0.0), timedelta(0), PACE) == PACE.soonest
    assert next_look(replace(look, per_second=0.0), timedelta(minutes=1), PACE) == timedelta(minutes=2)
    assert next_look(replace(look, per_second=0.0), timedelta(minutes=9), PACE) == PACE.latest


def test_the_sentence_says_how_far_it_is_and_when_it_will_be_done() -> None:
    """By the quota as long as nobody knows better: three validations an image."""
    look = Look(NOW, total=200, signed=137, proven=137)

    assert look.sentence == "137 of 200 images verified with the new key, done about 14:01 UTC"
    assert replace(look, proven=100).sentence.startswith(
        "100 of 200 images verified with the new key and 37 attested by it, done about 14:0"
    )
    assert replace(look, signed=200, proven=200).sentence == "200 of 200 images verified with the new key"
    assert deadline(100_000, PACE) > timedelta(hours=50)
    assert named([str(number) for number in range(12)]).endswith("8, 9 and 2 more")


def test_a_journal_of_another_rotation_or_of_last_week_says_nothing() -> None:
    """Nor does one that nobody can read."""
    journal = Journal(about="a", listed=NOW, marked=NOW)
    step = journal.model_dump_json()

    assert read_journal(step, "a", NOW) == journal
    assert read_journal(step, "b", NOW) is None
    assert read_journal(step, "a", NOW + timedelta(days=7)) is None
    assert read_journal("create", "a", NOW) is None
    assert journal.proven_to(NOW.timestamp() + 5, NOW).proven_until == NOW.timestamp()


def test_a_hundred_thousand_attestations_would_take_little_memory() -> None:
    """What is kept is a digest, a time and a name; payloads and signatures go as they come."""
    ledger = Ledger(Change(frozenset({OLD_ID}), frozenset({NEW_ID})), {OLD_ID}, None, ())
    tracemalloc.start()
    for number in range(20_000):
        uri = f"https://{HOST}/acme/apps/shop@sha256:{number:064x}"
        ledger.add(Attestation(NOTE, uri, b"p" * 400, OLD_ID, b"s" * 512, f"projects/p/occurrences/{number}", NOW))
        if number % 2:
            ledger.add(Attestation(NOTE, uri, b"p" * 400, NEW_ID, b"s" * 512, f"projects/p/occurrences/n{number}", NOW))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (ledger.total, ledger.signed) == (20_000, 10_000)
    assert 5 * held < 64 * 1024 * 1024
