"""Expressions over JSON, for rules that users write: JMESPath, with four functions of our own.

Source: https://jmespath.org/specification.html, as the library `jmespath` reads and evaluates it. What rules are made
of mostly (fields, comparisons, literals, and, or, not, function calls) is turned into Python functions once: the
library's own walk through the syntax tree takes ten to twenty times as long, for every message. All else is its walk.
`!` binds to what stands next to it, before any dot: write `!(data.tag)`.

    before(text, mark)        what stands before the last `mark` of a text; null if there is none
    after(text, mark)         what stands after the last `mark` of a text; null if there is none
    matches(text, pattern)    whether a regular expression matches the whole text; null matches nothing
    captured(text, pattern)   what the first group of such a match holds; null without a match
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from jmespath import exceptions, functions, parser, visitor

Expression = Callable[[Any], Any]
_ARGUMENTS = 2
_WITH_PATTERN = frozenset({"matches", "captured"})
_LONGEST = 4096
"""Characters that a pattern is tried on; a hostile text must not keep a process busy."""


class ExpressionError(ValueError):
    """The expression cannot be read, or does not apply to this value; the sentence says which and why."""


def _before(text: Any, mark: Any) -> str | None:
    if text is None:
        return None
    head, found, _ = _checked("before", text).rpartition(_checked("before", mark))
    return head if found else None


def _after(text: Any, mark: Any) -> str | None:
    if text is None:
        return None
    _, found, tail = _checked("after", text).rpartition(_checked("after", mark))
    return tail if found else None


def _matches(text: Any, pattern: Any) -> bool:
    return _match("matches", text, pattern) is not None


def _captured(text: Any, pattern: Any) -> str | None:
    found = _match("captured", text, pattern)
    return None if found is None else found[1]


def _match(function: str, text: Any, pattern: Any) -> re.Match[str] | None:
    if text is None or len(_checked(function, text)) > _LONGEST:
        return None
    return _pattern(_checked(function, pattern)).fullmatch(text)


def _checked(function: str, value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"{function}() was given a value of type {type(value).__name__}, and takes texts")
    return value


_OURS: Mapping[str, Callable[[Any, Any], Any]] = {
    "before": _before,
    "after": _after,
    "matches": _matches,
    "captured": _captured,
}


class _Functions(functions.Functions):
    """The functions of the specification, and ours, which check what they are given themselves."""

    def call_function(self, function_name: str, resolved_args: Iterable[Any]) -> Any:
        """Call a function of either kind."""
        ours = _OURS.get(function_name)
        return super().call_function(function_name, resolved_args) if ours is None else ours(*resolved_args)


_FUNCTIONS = _Functions()
_INTERPRETER = visitor.TreeInterpreter(visitor.Options(custom_functions=_FUNCTIONS))


@cache
def compiled(text: str) -> Expression:
    """Return a function that evaluates the expression. It raises ExpressionError where it does not apply.

    Raises ExpressionError when the expression cannot be read.
    """
    try:
        tree = parser.Parser().parse(text).parsed
    except exceptions.JMESPathError as error:
        raise ExpressionError(f"{text!r} is no JMESPath expression: {_plain(error)}") from None
    for call in _calls(tree):
        if (wrong := _misuse(call)) is not None:
            raise ExpressionError(f"{text!r} {wrong}")
    function = _function(tree)

    def evaluate(value: Any) -> Any:
        try:
            return function(value)
        except (exceptions.JMESPathError, TypeError, ValueError, LookupError, re.error, RecursionError) as error:
            raise ExpressionError(f"{text!r} does not apply to this message: {_plain(error)}") from None

    return evaluate


@cache
def names_read(text: str) -> frozenset[str]:
    """Return the names that an expression reads of the value itself. Raises ExpressionError when it cannot be read."""
    compiled(text)
    return frozenset(_names(parser.Parser().parse(text).parsed))


def holds(result: Any) -> bool:
    """Whether a result counts as true: not null, false, or an empty string, array or object."""
    return not (result is None or result is False or (result in ("", [], {}) and not isinstance(result, int)))


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


def _plain(error: Exception) -> str:
    """Say what is wrong without repeating the value: that is somebody's message."""
    if isinstance(error, exceptions.JMESPathTypeError):
        return f"{error.function_name}() was given a value of type {error.actual_type}"
    return str(error).partition("\n")[0]


def _calls(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the calls of functions in a syntax tree."""
    if node["type"] == "function_expression":
        yield node
    for child in node.get("children", ()):
        if isinstance(child, dict):
            yield from _calls(child)


_ON_THE_FIRST = frozenset(
    {"subexpression", "index_expression", "pipe", "projection", "value_projection", "filter_projection", "flatten"}
)
"""Nodes whose first child is evaluated on what they are evaluated on, and the others on what that gives."""


def _names(node: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields that a syntax tree reads of the value that it is evaluated on."""
    if node["type"] == "field":
        yield node["value"]
    if node["type"] == "expref":
        return
    children = node.get("children", ())
    for child in children[:1] if node["type"] in _ON_THE_FIRST else children:
        yield from _names(child)


def _misuse(call: Mapping[str, Any]) -> str | None:
    """Say what is wrong with a call, as far as that is known before there is a value."""
    name, arguments = call["value"], call["children"]
    if name not in _OURS:
        return _misuse_of_a_standard(name, len(arguments))
    if len(arguments) != _ARGUMENTS:
        return f"calls {name}() with {len(arguments)} arguments: it takes two"
    if name in _WITH_PATTERN and arguments[1]["type"] == "literal":
        try:
            _pattern(arguments[1]["value"])
        except (re.error, TypeError) as error:
            return f"gives {name}() what is no regular expression: {error}"
    return None


def _misuse_of_a_standard(name: str, given: int) -> str | None:
    entry = _FUNCTIONS.FUNCTION_TABLE.get(name)
    if entry is None:
        return f"calls {name}(), a function that neither JMESPath nor sealane has"
    signature = entry["signature"]
    is_open = bool(signature) and bool(signature[-1].get("variadic"))
    if given == len(signature) or (is_open and given > len(signature)):
        return None
    return f"calls {name}() with {given} arguments: it takes {'at least ' if is_open else ''}{len(signature)}"


def _function(node: Any) -> Expression:
    """Turn a node of the syntax tree into a function of the value it is evaluated on."""
    kind, value = node["type"], node.get("value")
    children = node.get("children", ())
    if kind == "comparator" and value not in {"eq", "ne"}:
        kind = "ordering"
    build: Callable[[], Expression] | None = {
        "field": lambda: _field(value),
        "literal": lambda: _literal(value),
        "subexpression": lambda: _followed([_function(child) for child in children]),
        "and_expression": lambda: _either(*map(_function, children), until=False),
        "or_expression": lambda: _either(*map(_function, children), until=True),
        "comparator": lambda: _comparison(*map(_function, children), wanted=value == "eq"),
        "function_expression": lambda: _call(value, [_function(child) for child in children]),
    }.get(kind)
    return build() if build is not None else lambda value: _INTERPRETER.visit(node, value)


def _literal(value: Any) -> Expression:
    return lambda _value: value


def _call(name: str, arguments: list[Expression]) -> Expression:
    if name in _OURS:
        ours, (one, other) = _OURS[name], arguments
        return lambda value: ours(one(value), other(value))
    return lambda value: _FUNCTIONS.call_function(name, [argument(value) for argument in arguments])


def _field(name: str) -> Expression:
    return lambda value: value.get(name) if isinstance(value, dict) else None


def _followed(steps: list[Expression]) -> Expression:
    def follow(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return follow


def _either(left: Expression, right: Expression, *, until: bool) -> Expression:
    """`||` looks until something holds, `&&` until something does not."""

    def look(value: Any) -> Any:
        found = left(value)
        return found if holds(found) is until else right(value)

    return look


def _comparison(left: Expression, right: Expression, *, wanted: bool) -> Expression:
    def compare(value: Any) -> bool:
        one, other = left(value), right(value)
        # In JSON no number is a boolean; in Python they are equal.
        same = one == other and (type(one) is bool) is (type(other) is bool)
        return same is wanted

    return compare
