"""Patterns of the policy and of filters: `*` is anything within one segment, `**` anything at all; neither is empty.

Patterns and texts come from outside, so that no pattern may take long on any text: a wildcard that found its literal
never looks further. That is right for these two wildcards, since the first place leaves the most for what follows;
only the last chunk, which must end where the text ends, is looked for everywhere. At worst the square of the length.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache


def matches(pattern: str, value: str) -> bool:
    """Whether a text is as a pattern says."""
    return _expression(pattern).fullmatch(value) is not None


def matching(pattern: str) -> Callable[[str | None], bool]:
    """Return what tells of many texts whether they are as a pattern says; of none only `**` says so."""
    if pattern == "**":
        return lambda _: True
    if "*" not in pattern:
        return lambda text: text == pattern
    found = _expression(pattern).fullmatch
    return lambda text: text is not None and found(text) is not None


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    first, *chunks = ([re.escape(literal) for literal in chunk.split("*")] for chunk in pattern.split("**"))
    whole = _chunk(first, is_last=not chunks)
    for left, literals in enumerate(chunks, 1 - len(chunks)):
        chunk = _chunk(literals, is_last=left == 0)
        whole += f"(?>.+?{chunk})" if left else f".+{chunk}"
    return re.compile(whole, re.DOTALL)


def _chunk(literals: Sequence[str], *, is_last: bool) -> str:
    """Return the expression of what stands between two `**`: literals with a `*` between them."""
    head, *rest = literals
    if not rest:
        return head
    *middle, end = rest
    found = "".join(f"(?>[^/]+?{literal})" for literal in middle)
    return f"{head}{found}{f'[^/]+{end}' if is_last else f'(?>[^/]+?{end})'}"
