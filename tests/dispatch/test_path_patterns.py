"""Patterns over paths and refs mean what they say, and no path makes one busy: whoever may push chooses the paths."""

import fnmatch
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.path_patterns import has_names, is_plain, path_expression, ref_expression

SEGMENTS = st.text("ab-.*", min_size=1, max_size=8).filter(
    lambda text: text.count("*") <= 3 and "**" not in text and text not in {".", ".."}
)


@settings(max_examples=500, deadline=None)
@given(pattern=SEGMENTS, text=st.text("ab-.", min_size=1, max_size=12))
def test_a_star_means_what_it_means_in_a_shell(pattern: str, text: str) -> None:
    """However many there are, and wherever their texts first fit."""
    meant = fnmatch.fnmatchcase(text, pattern)

    assert (path_expression(f"x/{pattern}", strict=True).fullmatch(f"x/{text}") is not None) is meant
    assert (ref_expression(f"refs/heads/{pattern}").fullmatch(f"refs/heads/{text}") is not None) is meant


def test_names_take_what_belongs_to_them() -> None:
    """Where two names share a segment, the first takes as much as it can, and the same name is the same text."""
    found = path_expression("{tenant}-{edge}/{tenant}.yaml", strict=True).fullmatch("a-b-c/a-b.yaml")

    assert found is not None
    assert found.groupdict() == {"tenant": "a-b", "edge": "c"}
    assert path_expression("{tenant}-{edge}/{tenant}.yaml", strict=True).fullmatch("a-b-c/c.yaml") is None


@pytest.mark.parametrize(
    "pattern", ["x/{tenant}-{a}-{b}/y", "x/*a*a*.yaml", "x/*-{tenant}-{a}", "**/{tenant}/*a*a*.yaml", "{tenant}/{a}{b}"]
)
@pytest.mark.parametrize(
    "path", ["x/" + "-" * 255 + "/z", "x/" + "a-" * 127 + "/z", "x/" + "a" * 255, "a/" * 1500 + "a" * 255]
)
def test_no_path_keeps_a_pattern_busy(pattern: str, path: str) -> None:
    """A hundred hostile paths are refused in less than the time that one took with plain backtracking."""
    begun = time.process_time()
    for strict in (True, False):
        expression = path_expression(pattern, strict=strict)
        for _ in range(50):
            expression.fullmatch(path)

    assert time.process_time() - begun < 20


def test_a_ref_may_hold_many_stars() -> None:
    """A ref that fits nearly is refused at once."""
    assert ref_expression("refs/heads/" + "*a" * 20 + "b").fullmatch("refs/heads/" + "a" * 900) is None


def test_a_name_that_no_file_system_takes_is_no_file() -> None:
    """Git's objects may hold one nevertheless."""
    assert has_names("x/" + "a" * 255)
    assert not has_names("x/" + "a" * 256 + "/y")
    assert not is_plain("x/" + "a" * 256)
