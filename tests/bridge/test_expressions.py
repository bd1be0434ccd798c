"""Expressions mean what JMESPath says they mean, and never crash a process."""

from contextlib import suppress
from typing import Any

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from workers.expressions import ExpressionError, compiled, holds, names_read

NAMES = st.sampled_from(["a", "b", "c"])
LITERALS = st.sampled_from(["'x'", "`1`", "`0`", "`true`", "`false`", "`null`", "`[]`", "`{}`", "`1.5`", "''"])
LEAVES = NAMES | LITERALS | st.just("@")


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.tuples(inner, st.sampled_from(["&&", "||", "==", "!=", "<", ">="]), inner)
    return (
        pairs.map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})")
        | st.tuples(NAMES, NAMES).map(".".join)
        | inner.map(lambda one: f"!({one})")
        | st.tuples(inner, NAMES).map(lambda parts: f"({parts[0]}) | {parts[1]}")
        | NAMES.map(lambda name: f"{name}[0]")
        | NAMES.map(lambda name: f"{name}[*].a")
        | NAMES.map(lambda name: f"{name}[?a == 'x'].b")
        | inner.map(lambda one: f"type({one})")
        | inner.map(lambda one: f"[{one}, a]")
        | st.tuples(inner, inner).map(lambda parts: f"not_null({parts[0]}, {parts[1]})")
        | inner.map(lambda one: f"length({one})")
    )


EXPRESSIONS = st.recursive(LEAVES, _larger, max_leaves=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


def _of_the_library(text: str, value: Any) -> Any:
    try:
        return jmespath.search(text, value)
    except (JMESPathError, TypeError):
        # It lets the TypeError of `'x' < 1` through.
        return "refused"


def _ours(text: str, value: Any) -> Any:
    try:
        return compiled(text)(value)
    except ExpressionError:
        return "refused"


@settings(max_examples=600, deadline=None)
@given(text=EXPRESSIONS, value=VALUES)
def test_what_is_compiled_means_what_the_library_says(text: str, value: Any) -> None:
    """Whatever the expression and the value, both evaluations agree, in type too."""
    expected, found = _of_the_library(text, value), _ours(text, value)

    assert (found, type(found)) == (expected, type(expected))


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=30) | EXPRESSIONS, value=VALUES)
def test_no_text_crashes(text: str, value: Any) -> None:
    """A text is an expression or is refused with a sentence."""
    with suppress(ExpressionError):
        compiled(text)(value)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("before(a, '@')", {"a": "x@y@z"}, "x@y"),
        ("before(a, '@')", {"a": "xyz"}, None),
        ("after(a, '@')", {"a": "x@y@z"}, "z"),
        ("after(a, '@')", {}, None),
        ("matches(a, 'x+')", {"a": "xx"}, True),
        ("matches(a, 'x+')", {"a": "xx\n"}, False),
        ("matches(a, 'x+')", {"a": "x" * 5000}, False),
        ("matches(a, '\\w')", {"a": "é"}, False),
        ("captured(a, 'v(.+)')", {"a": "v1.2"}, "1.2"),
        ("captured(a, 'v(.+)')", {"a": None}, None),
        ("b[?matches(@, 'x')]", {"b": ["x", "y"]}, ["x"]),
    ],
)
def test_our_own_functions(text: str, value: Any, expected: Any) -> None:
    """Each function as its line in the docstring says, inside JMESPath's own constructs as well."""
    assert compiled(text)(value) == expected


@pytest.mark.parametrize("text", ["before(a, '@')", "matches(a, 'x')", "captured(a, 'x')", "after('x', a)"])
def test_a_function_refuses_what_is_no_text(text: str) -> None:
    """A number where a text belongs is an error with a sentence, not a guess."""
    with pytest.raises(ExpressionError, match="of type int, and takes texts"):
        compiled(text)({"a": 5})


@pytest.mark.parametrize(("value", "expected"), [(0, True), ("", False), ([], False), ({}, False), (False, False)])
def test_what_holds_is_what_jmespath_calls_true(value: Any, expected: bool) -> None:  # noqa: FBT001 - a table
    """Only null, false and what is empty does not hold; the number 0 does."""
    assert holds(value) is expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("data.a == 'x' && attributes.b", {"data", "attributes"}),
        ("data[?a == 'x'].b | [0]", {"data"}),
        ("data.{one: two, three: four}", {"data"}),
        ("{one: data.two, three: [four, `5`]}", {"data", "four"}),
        ("sort_by(data.a, &b)[*].c", {"data"}),
        ("join('', [data.*.x, @])", {"data"}),
        ("data.a.b[].c[0].d | e", {"data"}),
    ],
)
def test_the_names_that_an_expression_reads_are_known(text: str, names: set[str]) -> None:
    """Only those of the value itself, not those of what is found in it."""
    assert names_read(text) == names
