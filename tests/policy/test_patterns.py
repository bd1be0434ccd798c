"""What a pattern of exempt images matches, and when one covers another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.samples import images, patterns
from workers.policy.model import Policy, WhitelistPattern
from workers.policy.patterns import covers, lint_patterns, matches

DIGEST = "@sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("pattern", "image", "expected"),
    [
        ("gcr.io/nginx*", "gcr.io/nginx@latest", True),  # the two examples of the reference
        ("gcr.io/nginx*", "gcr.io/nginx/image", False),
        ("gcr.io/nginx**", "gcr.io/nginx/image", True),
        ("gcr.io/acme/shop", "gcr.io/acme/shop", True),
        ("gcr.io/acme/shop", "gcr.io/acme/shop:1", False),
        ("gcr.io/acme/shop:*", "gcr.io/acme/shop:1", True),
        ("gcr.io/acme/shop:*", f"gcr.io/acme/shop{DIGEST}", False),
        ("gcr.io/acme/shop@*", f"gcr.io/acme/shop{DIGEST}", True),
        ("gcr.io/acme/*", "gcr.io/acme/shop:1", True),
        ("gcr.io/acme/*", "gcr.io/acme/shop/web:1", False),
        ("gcr.io/acme/**", f"gcr.io/acme/shop/web{DIGEST}", True),
        ("gcr.io/acme/**", "evil.example/gcr.io/acme/shop", False),
        ("gcr.io/a.me/*", "gcr.io/acme/shop", False),
    ],
)
def test_a_pattern_matches_the_whole_reference(pattern: str, image: str, *, expected: bool) -> None:
    """`*` stops at a slash, `**` does not, all else stands for itself."""
    assert matches(pattern, image) is expected


@given(patterns(), patterns(), images())
def test_what_a_narrow_pattern_matches_the_wide_one_does(
    wide: WhitelistPattern, narrow: WhitelistPattern, image: str
) -> None:
    """Covering is a promise about every image."""
    if covers(wide.name_pattern or "", narrow.name_pattern or "") and matches(narrow.name_pattern or "", image):
        assert matches(wide.name_pattern or "", image)


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("gcr.io/acme/**", "gcr.io/acme/*", True),
        ("gcr.io/acme/*", "gcr.io/acme/**", False),
        ("gcr.io/acme/*", "gcr.io/acme/shop*", True),
        ("gcr.io/acme/shop*", "gcr.io/acme/*", False),
        ("gcr.io/acme/**", "gcr.io/acme/shop/web:1", True),
        ("gcr.io/acme/*", "gcr.io/acme/shop/web:1", False),
        ("gcr.io/acme/shop", "gcr.io/acme/shop*", False),
    ],
)
def test_a_wide_pattern_covers_a_narrow_one(wide: str, narrow: str, *, expected: bool) -> None:
    """Never the other way round."""
    assert covers(wide, narrow) is expected


@given(st.lists(patterns(), max_size=8, unique=True))
def test_every_pattern_that_another_covers_is_found(chosen: list[WhitelistPattern]) -> None:
    """As comparing each with each would, naming the first that covers it."""
    names = [one.name_pattern or "" for one in chosen]
    found = lint_patterns(Policy(admission_whitelist_patterns=tuple(chosen)))
    never = {one.path[1]: one.sentence for one in found if one.code == "pattern-never-reached"}

    for place, narrow in enumerate(names):
        wider = [other for other in names if other != narrow and covers(other, narrow)]
        assert (place in never) is bool(wider)
        assert not wider or repr(wider[0]) in never[place]


def test_patterns_by_the_thousand_are_looked_at() -> None:
    """Five thousand, in far less time than comparing each with each takes."""
    many = tuple(WhitelistPattern(name_pattern=f"gcr.io/acme/shop-{number}/*") for number in range(5000))

    assert list(lint_patterns(Policy(admission_whitelist_patterns=many))) == []
