"""What would change of an attestor, decided on what is there."""

from dataclasses import replace

import pytest

from tests.contracts.attestor_admin.public_keys import public_key
from workers.attestors.listing import natural_id
from workers.attestors.planning import Change, KnownKey, planned
from workers.failures import Invalid
from workers.ports import AttestorRecord, PublicKey

NAME = "projects/acme/attestors/ci"
EMPTY = AttestorRecord(NAME, "projects/acme/notes/ci")
KMS = "projects/acme/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
EC = "ECDSA_P256_SHA256"


def key(name: str = KMS, algorithm: str = EC) -> PublicKey:
    """Return a key with a given id of its own."""
    return public_key(algorithm, name)


def did(changes: list[Change]) -> list[tuple[str, str]]:
    """Return what became of each key."""
    return [(change.did, change.subject) for change in changes if change.part == "key"]


def test_a_key_of_cloud_kms_is_listed_under_the_id_that_its_attestations_carry() -> None:
    """With the prefix, without which none of them verifies."""
    record, changes = planned(EMPTY, [KnownKey(key())])

    assert [one.id for one in record.keys] == [f"//cloudkms.googleapis.com/v1/{KMS}"]
    assert did(changes) == [("added", natural_id(KMS))]


def test_what_is_listed_already_stays_as_it_is() -> None:
    """Once more changes nothing."""
    wanted = [KnownKey(key()), KnownKey(key("ni:///sha-256;one"))]
    record, _ = planned(EMPTY, wanted, description="d")
    again, changes = planned(record, wanted, description="d")

    assert again == record
    assert {change.did for change in changes} == {"as wanted"}


def test_a_key_under_another_good_id_is_not_listed_twice() -> None:
    """Attestations carry the id that the attestor lists."""
    known = key()
    found = replace(EMPTY, keys=(replace(known, id="https://keys.example/ci"),))
    record, changes = planned(found, [KnownKey(known)])

    assert record == found
    assert did(changes) == [("as wanted", "https://keys.example/ci")]


def test_a_key_under_an_id_that_never_verifies_is_listed_rightly_beside_it() -> None:
    """The bare name of the key version is what the cloud never writes."""
    known = key()
    found = replace(EMPTY, keys=(known,))
    record, changes = planned(found, [KnownKey(known)])

    assert [one.id for one in record.keys] == [KMS, natural_id(KMS)]
    assert did(changes) == [("added", natural_id(KMS)), ("kept", KMS)]


def test_other_keys_stay_unless_they_are_pruned() -> None:
    """And are said to be there."""
    old, new = key("ni:///sha-256;old"), key("ni:///sha-256;new")
    kept, said = planned(replace(EMPTY, keys=(old,)), [KnownKey(new)])
    pruned, cut = planned(replace(EMPTY, keys=(old,)), [KnownKey(new)], prune=True)

    assert [one.id for one in kept.keys] == [old.id, new.id]
    assert ("kept", old.id) in did(said)
    assert [one.id for one in pruned.keys] == [new.id]
    assert ("removed", old.id) in did(cut)


def test_pruning_never_removes_the_last_key() -> None:
    """An attestor without keys accepts nothing."""
    with pytest.raises(Invalid, match="it would accept no attestation at all"):
        planned(replace(EMPTY, keys=(key(),)), [], prune=True)


def test_another_algorithm_is_replaced_only_when_pruning() -> None:
    """What the old entry verified verifies no more, so somebody has to say so."""
    listed = replace(public_key("RSA_PSS_4096_SHA256"), id="ni:///sha-256;rsa")
    wanted = KnownKey(replace(listed, algorithm="RSA_PSS_4096_SHA512"))
    found = replace(EMPTY, keys=(listed,))
    with pytest.raises(Invalid, match="with the algorithm RSA_PSS_4096_SHA256, and it is wanted with RSA_PSS_4096"):
        planned(found, [wanted])
    record, changes = planned(found, [wanted], prune=True)
    unchosen, _ = planned(found, [replace(wanted, is_chosen=False)])

    assert [one.algorithm for one in record.keys] == ["RSA_PSS_4096_SHA512"]
    assert did(changes) == [("replaced", listed.id)]
    assert unchosen == found


def test_an_id_that_another_key_has_is_refused() -> None:
    """Neither silently replaced nor listed twice."""
    found = replace(EMPTY, keys=(key("ni:///sha-256;one"),))
    with pytest.raises(Invalid, match="lists another public key as ni:///sha-256;one"):
        planned(found, [KnownKey(key("ni:///sha-256;one"))])


def test_a_thousand_keys_are_the_most() -> None:
    """One more is refused before anything is sent."""
    one = key()
    listed = tuple(replace(one, id=f"ni:///sha-256;{number}", pem="other") for number in range(1000))
    with pytest.raises(Invalid, match="would have 1001 keys, and Binary Authorization takes 1000"):
        planned(replace(EMPTY, keys=listed), [KnownKey(one)])


def test_a_comment_is_changed_where_one_is_given() -> None:
    """And left alone where none is."""
    listed = replace(key("ni:///sha-256;one"), comment="first")
    found = replace(EMPTY, keys=(listed,))
    silent, _ = planned(found, [KnownKey(listed)])
    said, changes = planned(found, [KnownKey(listed, comment="second")])

    assert silent == found
    assert [one.comment for one in said.keys] == ["second"]
    assert did(changes) == [("changed", listed.id)]
