"""Patterns mean the same as plain expressions do, and no pattern takes long on any text."""

import re
import time

from hypothesis import given
from hypothesis import strategies as st

from workers.gateway.patterns import matches

_PATTERNS = st.lists(st.sampled_from(["a", "b", "/", "*", "**", "ab", "."]), max_size=9).map("".join)
_TEXTS = st.text("ab/.\n", max_size=14)


def plainly(pattern: str, text: str) -> bool:
    """Whether it matches by an expression that tries everything."""
    anything = {"*": r"[^/]+", "**": r".+"}
    parts = (anything.get(part) or re.escape(part) for part in re.split(r"(\*\*|\*)", pattern))
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


@given(_PATTERNS, _TEXTS)
def test_pattern_means_what_a_plain_expression_means(pattern: str, text: str) -> None:
    """What is never looked at again would not have matched either."""
    assert matches(pattern, text) == plainly(pattern, text)


def test_no_pattern_takes_long() -> None:
    """A filter of many wildcards on a long subject is answered at once: the door has one loop for everybody."""
    text = "a" * 2048
    begun = time.process_time()
    for pattern in ("*a" * 4 + "b", "*a" * 500 + "b", "**a*a*a*b", "**a**a**a**b", "**" + "*a" * 20 + "b", "*" * 500):
        assert not matches(f"{pattern}x", text)
    assert time.process_time() - begun < 5
