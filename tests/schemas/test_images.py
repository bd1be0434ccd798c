"""Image events are strict, and a reference is read in one way only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.images import ImagePushed, split_reference

DIGEST = "sha256:" + "a" * 64
WORD = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
HOST = st.builds(
    "{}{}".format,
    st.lists(WORD, min_size=1, max_size=3).map(".".join),
    st.one_of(st.just(""), st.integers(1, 65535).map(":{}".format)),
)
PATH = st.lists(st.lists(WORD, min_size=1, max_size=3).map("__".join), min_size=1, max_size=3).map("/".join)
TAG = st.one_of(st.none(), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True))
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(HOST, PATH, TAG, st.one_of(st.none(), HEX.map("sha256:{}".format)))
def test_reference_splits_into_what_it_was_made_of(host: str, path: str, tag: str | None, digest: str | None) -> None:
    """Putting the parts together and taking them apart are inverse, and the catalogue accepts the whole."""
    reference = f"{host}/{path}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")

    assert split_reference(reference) == (host, path, tag, digest)
    assert ImagePushed(image=reference).image == reference


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "shop",
        "https://host/shop",
        "host/Shop",
        "host/shop:",
        "host/shop@sha256:abc",
        "host/shop@sha512:" + "a" * 64,
        "host//shop",
        "host/../shop",
        "user:password@host/shop",
        "host/shop:1\n",
        "host/shop?x=1",
        "ho st/shop",
        "-host/shop",
        "[::1]/shop",
        "host/shop:" + "t" * 129,
        "host/a___b",
    ],
)
def test_what_is_no_reference_is_refused_alike(reference: str) -> None:
    """The splitter and the catalogue refuse the same strings."""
    with pytest.raises(ValueError, match="is not an image reference: write HOST/PATH"):
        split_reference(reference)
    with pytest.raises(ValidationError):
        ImagePushed(image=reference)


def test_reference_of_hostile_length_is_refused_quickly() -> None:
    """The patterns do not run away on a long string."""
    with pytest.raises(ValueError, match="is not an image reference"):
        split_reference("a-" * 20_000 + "/" + "a_" * 20_000)


def test_natural_key_keeps_its_parts_apart() -> None:
    """Facts differ when any part of their key does, wherever the border between the parts is."""
    one, other = ImagePushed(image="h/a"), ImagePushed(image="h/a", digest=DIGEST)

    assert one.natural_key() != other.natural_key()
    assert one.about() == other.about() == "h/a"
