"""Keys of claims become subjects that anybody can read back."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.bus.claims.claim import decode_key, encode_key
from workers.failures import Invalid


@given(st.text(min_size=1, max_size=60))
def test_every_key_is_one_token_and_reads_back(key: str) -> None:
    """Whatever the key, its name is one plain token, and short ones read back."""
    token = encode_key(key)

    assert re.fullmatch(r"[A-Za-z0-9_=-]{1,200}", token)
    assert decode_key(token) in {key, None}
    assert (decode_key(token) is None) == token.startswith("=H")


def test_a_key_stays_readable() -> None:
    """People see the key in the subject."""
    assert encode_key("image-1:sha256") == "image-1=3Asha256"
    assert decode_key("image-1=3Asha256") == "image-1:sha256"


def test_long_keys_are_told_apart_by_a_hash() -> None:
    """Keys beyond 200 characters become a hash each."""
    one, two = encode_key("x" * 201), encode_key("x" * 202)

    assert one != two
    assert decode_key(one) is None
    assert len(one) < 40


def test_an_empty_key_is_refused() -> None:
    """An empty key would stand for everything."""
    with pytest.raises(Invalid, match="needs a key"):
        encode_key("")
