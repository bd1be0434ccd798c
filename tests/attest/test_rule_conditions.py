"""What a rule may ask beside the repository: several attestors, who published, for what, with which labels."""

import pytest
from pydantic import ValidationError

from tests.attest.world import ATTESTOR, KEY, rule
from workers.signing import Publication, SigningRule, SigningRules

SECOND = "projects/prod/attestors/release"
FIRST = {"attestor": ATTESTOR, "key": KEY}


def one(**more: object) -> SigningRule:
    """Return a rule with these fields, the third of its list."""
    return SigningRules.model_validate([rule(), rule(), rule() | more]).rules[2]


def test_one_rule_may_name_several_attestors() -> None:
    """Each becomes a rule of its own with the same pattern, conditions and number."""
    shared = {"match": "gcr.io/**", "actor": "ci@*", "platforms": ["linux/amd64"]}
    second = {"attestor": SECOND, "key": KEY, "project": "evidence"}
    rules = SigningRules.model_validate([rule(), shared | {"attestors": [FIRST, second]}]).rules

    assert [(one.attestor, one.number, one.actor) for one in rules[1:]] == [(ATTESTOR, 2, "ci@*"), (SECOND, 2, "ci@*")]
    assert [one.occurrence_project for one in rules[1:]] == ["projects/acme", "projects/evidence"]
    assert {one.platforms for one in rules[1:]} == {("linux/amd64",)}


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ({"attestors": [FIRST, {"attestor": "ci", "key": KEY}]}, "field 'attestors.1.attestor': 'ci' is not what"),
        ({"attestors": [{"attestor": ATTESTOR}]}, "field 'attestors.0.key': Field required"),
        ({"attestors": [FIRST | {"actor": "x"}]}, "field 'attestors.0.actor': no signer has this field"),
        ({"attestors": [FIRST], "match": "shop"}, "field 'match': 'shop' is not HOST/PATH"),
    ],
)
def test_a_broken_signer_is_named_with_its_place(item: dict[str, object], sentence: str) -> None:
    """Which rule, which of its attestors, which field."""
    with pytest.raises(ValidationError) as failure:
        SigningRules.model_validate([{"match": "gcr.io/**"} | item])

    assert f"signing rule 1, {sentence}" in str(failure.value)


@pytest.mark.parametrize(
    ("wanted", "given", "sentence"),
    [
        ({}, Publication(), None),
        ({"actor": "ci@acme.example"}, Publication("ci@acme.example"), None),
        ({"actor": "*@acme.example"}, Publication("ci@acme.example"), None),
        (
            {"actor": "*@acme.example"},
            Publication("ci@acme.example.evil"),
            "actor '*@acme.example', the event's is 'ci",
        ),
        (
            {"actor": "ci@acme.example"},
            Publication("ci@acmeXexample"),
            "actor 'ci@acme.example', the event's is 'ci@ac",
        ),
        ({"actor": "*"}, Publication(), "actor '*', the event has none"),
        ({"environment": "prod*"}, Publication(environment="production"), None),
        ({"environment": "prod*"}, Publication(environment="staging"), "environment 'prod*', the event's is 'staging'"),
        ({"labels": {"git.branch": "main"}}, Publication(labels={"git.branch": "main", "more": "x"}), None),
        (
            {"labels": {"git.branch": "main"}},
            Publication(labels={"git.branch": "maintain"}),
            "label git.branch 'main', ",
        ),
        (
            {"labels": {"git.branch": "*"}},
            Publication(labels={"branch": "x"}),
            "label git.branch '*', the event has",
        ),
    ],
)
def test_a_rule_says_what_it_misses(wanted: dict[str, object], given: Publication, sentence: str | None) -> None:
    """The star is anything, everything else is meant literally, and what is not said never matches."""
    misses = list(one(**wanted).misses(given))

    assert [f"rule 3 wants {sentence}" in miss for miss in misses] == ([] if sentence is None else [True])


def test_a_rule_says_all_that_it_misses() -> None:
    """Nobody has to find out one after the other."""
    asked = one(actor="ci", environment="production", labels={"a": "1", "b": "2"})

    assert list(asked.misses(Publication("ci", "staging", {"a": "1"}))) == [
        "rule 3 wants environment 'production', the event's is 'staging'",
        "rule 3 wants label b '2', the event has none",
    ]


@pytest.mark.parametrize(
    ("platforms", "index", "signed", "left_out"),
    [
        ("all", True, ["linux/amd64", "linux/arm/v7", None], []),
        ("index", True, [], ["linux/amd64", None]),
        ("children", False, ["linux/amd64", "linux/arm/v7", None], []),
        (["linux/amd64"], False, ["linux/amd64", "linux/amd64/v3"], ["linux/arm64", "windows/amd64", None]),
        (["linux/arm"], False, ["linux/arm", "linux/arm/v7"], ["linux/arm64"]),
        (["linux/arm/v7", "index"], True, ["linux/arm/v7"], ["linux/arm", "linux/arm/v6"]),
    ],
)
def test_a_rule_says_what_of_an_index_is_signed(
    platforms: object,
    index: bool,  # noqa: FBT001 - a table's column
    signed: list[str | None],
    left_out: list[str | None],
) -> None:
    """The index, the children, both, or the platforms of a list; a platform without variant means all of them."""
    chosen = one(platforms=platforms)

    assert chosen.signs_index is index
    assert [platform for platform in signed if not chosen.signs_child(platform)] == []
    assert [platform for platform in left_out if chosen.signs_child(platform)] == []


def test_rules_can_be_read_again() -> None:
    """What was read and written down is the same once more."""
    rules = SigningRules.model_validate([rule() | {"labels": {"a": "1"}, "platforms": ["linux/amd64"]}])

    assert SigningRules.model_validate_json(rules.model_dump_json()) == rules
