"""What a pattern of exempt images matches, and when one covers another."""

import pytest
from hypothesis import given

from tests.policy.samples import images, patterns
from workers.policy.model import WhitelistPattern
from workers.policy.patterns import covers, matches

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
