"""Which rule is about which image, and what a broken rule is told."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.attest.world import ATTESTOR, KEY, rule
from workers.key_references import LocalKey
from workers.signing import SigningRule, SigningRules

WORDS = st.sampled_from(["a", "b", "ab", "a-b", "a.b", "aab"])
PARTS = st.sampled_from(["a", "b", "*", "a*", "*b", "*a*", "**"])


def matches(pattern: str, repository: str) -> bool:
    """Ask one rule about HOST/PATH."""
    host, _, path = repository.partition("/")
    return SigningRule(match=pattern, attestor=ATTESTOR, key=KEY).matches(host, path)


def expected(pattern: list[str], path: list[str]) -> bool:
    """Say the same by plain recursion: `**` takes any number of segments, at the end at least one."""
    if not pattern:
        return not path
    first, *rest = pattern
    if first == "**":
        if not rest:
            return bool(path)
        return any(expected(rest, path[taken:]) for taken in range(len(path) + 1))
    return bool(path) and characters(first, path[0]) and expected(rest, path[1:])


def characters(pattern: str, text: str) -> bool:
    """Match one segment by plain recursion."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(characters(pattern[1:], text[taken:]) for taken in range(len(text) + 1))
    return text[:1] == pattern[0] and characters(pattern[1:], text[1:])


@given(st.lists(PARTS, min_size=1, max_size=5), st.lists(WORDS, min_size=1, max_size=5))
def test_the_matcher_agrees_with_a_plain_recursion(pattern: list[str], path: list[str]) -> None:
    """Two independent ways to read a pattern say the same."""
    assert matches("gcr.io/" + "/".join(pattern), "gcr.io/" + "/".join(path)) == expected(pattern, path)


@given(st.lists(WORDS, min_size=1, max_size=4), st.lists(WORDS, min_size=0, max_size=3))
def test_a_pattern_never_matches_as_a_substring(path: list[str], before: list[str]) -> None:
    """What stands in a foreign host's path is not a host."""
    repository = "/".join(["evil.com", *before, "gcr.io", *path])

    assert not matches("gcr.io/**", repository)
    assert not matches("*.io/**", repository)


@pytest.mark.parametrize(
    ("pattern", "repository", "is_match"),
    [
        ("gcr.io/acme/shop", "gcr.io/acme/shop", True),
        ("gcr.io/acme/shop", "gcr.io/acme/shop2", False),
        ("gcr.io/acme/shop", "gcrxio/acme/shop", False),
        ("gcr.io/acme/*", "gcr.io/acme/apps/shop", False),
        ("gcr.io/acme/**", "gcr.io/acme/apps/shop", True),
        ("gcr.io/acme/**", "gcr.io/acme", False),
        ("gcr.io/acme/**", "gcr.io/acme-evil/shop", False),
        ("gcr.io/**/shop", "gcr.io/shop", True),
        ("gcr.*/**", "gcr.evil.com/x", False),
        ("*.pkg.dev/**", "europe-docker.pkg.dev/x", True),
        ("*.pkg.dev/**", "a.b.pkg.dev/x", False),
        ("127.0.0.1:*/**", "127.0.0.1:5000/x", True),
        ("127.0.0.1/**", "127.0.0.1:5000/x", False),
        ("*/**", "127.0.0.1:5000/x", True),
    ],
)
def test_examples_of_patterns(pattern: str, repository: str, is_match: bool) -> None:  # noqa: FBT001 - a table's column
    """The table that a reader of the documentation would ask for."""
    assert matches(pattern, repository) is is_match


def test_rules_keep_their_order() -> None:
    """All that match, as they are written."""
    second = "projects/acme/attestors/second"
    rules = SigningRules.model_validate([rule("gcr.io/**", second), rule("quay.io/**"), rule("gcr.io/acme/**")])

    assert [found.attestor for found in rules.matching("gcr.io", "acme/shop")] == [second, ATTESTOR]
    assert [found.number for found in rules.matching("gcr.io", "acme/shop")] == [1, 3]


def test_a_key_may_carry_its_scheme() -> None:
    """`gcp-kms://` is how other tools write the same key."""
    (found,) = SigningRules.model_validate([rule(key=f"gcp-kms://{KEY}")]).rules

    assert found.key == KEY


@pytest.mark.parametrize(
    "key",
    [
        "file:///run/keys/ci.pem",
        "env://CI_KEY",
        "file:///run/keys/ci.pem?passphrase=env://CI_PASS&algorithm=RSA_PSS_4096_SHA512",
    ],
)
def test_a_key_may_be_local(key: str) -> None:
    """A secret reference, with its options; the same for the next key."""
    (found,) = SigningRules.model_validate([rule(key=key) | {"next_key": key}]).rules

    assert (found.key, found.next_key) == (key, key)
    assert str(LocalKey.parse(key)) == key


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("-----BEGIN PRIVATE KEY-----canary", "that is no reference to a key: write projects/P/"),
        ("file:///ci.pem?passphrase=canary", "a passphrase is given by reference, env://NAME or file:///PATH"),
        ("file:///ci.pem?algorithm=canary", "`algorithm` is none that an attestor knows: write one of ECDSA_P256"),
        ("file:///ci.pem?password=canary", "after `?` a local key takes `passphrase=REFERENCE` and"),
        ("env://A?algorithm=ML_DSA_65&algorithm=ML_DSA_65", "each at most once"),
        ("gcp-kms://canary", "that is no reference to a key"),
    ],
)
def test_a_broken_reference_is_explained_and_never_repeated(key: str, sentence: str) -> None:
    """What stands where a reference belongs may be the secret itself."""
    for field in ("key", "next_key"):
        with pytest.raises(ValidationError) as failure:
            SigningRules.model_validate([rule() | {field: key}])

        assert f"signing rule 1, field '{field}': " in str(failure.value)
        assert sentence in str(failure.value)
        assert "canary" not in str(failure.value)


def test_rules_come_from_a_file_or_inline(tmp_path: Path) -> None:
    """The same text, in place or in a file."""
    text = json.dumps([rule()])
    path = tmp_path / "rules.json"
    path.write_text(text)

    assert SigningRules.model_validate(text) == SigningRules.model_validate(str(path))
    assert SigningRules.model_validate(f"file://{path}").rules[0].attestor == ATTESTOR
    assert SigningRules.model_validate("") == SigningRules()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"match": "shop"}, "field 'match': 'shop' is not HOST/PATH"),
        ({"match": "**/shop"}, "field 'match': the host '**' may not hold `**`"),
        ({"match": "gcr.io/a**"}, "field 'match': the segment 'a**' can never match"),
        ({"match": "gcr.io/Shop"}, "field 'match': the segment 'Shop' can never match"),
        ({"match": "gcr.io/shop:1"}, "field 'match': the segment 'shop:1' can never match"),
        ({"match": "GCR.io/shop"}, "field 'match': 'GCR.io' can never match"),
        ({"attestor": "ci"}, "field 'attestor': 'ci' is not what is meant: write projects/PROJECT/attestors/ATTESTOR"),
        ({"key": KEY.rpartition("/crypto")[0]}, "is not what is meant: write projects/P/locations/L/keyRings/R/"),
        ({"project": "projects/p"}, "field 'project': 'projects/p' is not what is meant: write the project's id"),
        ({"attestors": ATTESTOR}, "field 'attestors': write a list of {attestor, key} objects"),
        ({"attestors": []}, "field 'attestors': write a list of {attestor, key} objects"),
        ({"attestors": [{}]}, "field 'attestor': write it inside `attestors`, or drop those"),
        ({"number": 7}, "field 'number': rules are counted as they stand"),
        ({"atestor": ATTESTOR}, "field 'atestor': Extra inputs are not permitted"),
        ({"platforms": "amd64"}, "field 'platforms': 'amd64' is not what is meant: write index, children, all, or"),
        ({"platforms": ["amd64"]}, "field 'platforms': 'amd64' is no platform: write OS/ARCHITECTURE"),
        ({"platforms": []}, "field 'platforms': [] is not what is meant"),
        ({"actor": ""}, "field 'actor': String should have at least 1 character"),
    ],
)
def test_a_broken_rule_is_named_with_its_field(change: dict[str, str], sentence: str) -> None:
    """The second of two rules is wrong, and the sentence says so."""
    with pytest.raises(ValidationError) as failure:
        SigningRules.model_validate([rule(), rule() | change])

    assert "signing rule 2, field" in str(failure.value)
    assert sentence in str(failure.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[", "the signing rules are not JSON"),
        ("/nowhere/rules.json", "the signing rules in /nowhere/rules.json cannot be read"),
        ('{"rules": 3}', "the signing rules are not a list"),
    ],
)
def test_unreadable_rules_say_where(text: str, sentence: str) -> None:
    """A path that does not exist is not an empty list of rules."""
    with pytest.raises(ValidationError, match=sentence):
        SigningRules.model_validate(text)
