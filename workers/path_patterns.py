"""Patterns over the paths and the refs of a repository, as rules write them.

    *         anything within one segment
    **        any number of whole segments, alone between slashes, once
    {name}    a name: 1 to 63 of a-z, 0-9 and `-`, not at its ends; the same name twice must be the same text

Whoever may push chooses the paths, so none may take long to be refused: a segment holds few `*` and names, a name no
more than a file system takes, and what has found its place is not tried elsewhere.
"""

import re

_NAME = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_TOKEN = re.compile(r"\{([a-z][a-z_]{0,30})\}|(\*)|([A-Za-z0-9._@+=,-]+)")
_MOST_WILD = 3
"""`*` and names in one segment."""
_LONGEST_SEGMENT = 255
"""Characters of a file's or folder's name; no file system takes more."""


def path_expression(pattern: str, *, strict: bool) -> re.Pattern[str]:
    """Return what a whole path must match. `strict`: whether names must be spelt as above.

    Raises ValueError when the pattern is none.
    """
    segments = pattern.split("/")
    if segments.count("**") > 1:
        raise ValueError(f"the pattern {pattern!r} holds `**` twice: once is enough")
    if any(segment in {"", ".", ".."} for segment in segments):
        raise ValueError(f"the pattern {pattern!r} is no plain path: it begins at the top, without `.` and `..`")
    *before, last = segments
    captured: set[str] = set()
    parts = [
        "(?:[^/]+/)*" if segment == "**" else f"{_segment(segment, captured, strict=strict)}/" for segment in before
    ]
    parts.append(".+" if last == "**" else _segment(last, captured, strict=strict))
    return re.compile("".join(parts), re.ASCII | re.DOTALL)


def ref_expression(pattern: str) -> re.Pattern[str]:
    """Return what a whole ref must match; it may hold any number of `*`."""
    first, *others = map(re.escape, pattern.split("*"))
    middle = "".join(f"(?>[^/]*?{text})" for text in others[:-1])
    return re.compile(first + middle + "".join(f"[^/]*{text}" for text in others[-1:]), re.ASCII)


def has_names(path: str) -> bool:
    """Whether no name of the path is longer than a file system takes: a longer one is no file, and costs time."""
    return all(len(segment) <= _LONGEST_SEGMENT for segment in path.split("/"))


def is_plain(path: str) -> bool:
    """Whether a path names a file below the top as Git itself would: no traversal, nothing that is not printed."""
    return (
        path.isprintable()
        and "\\" not in path
        and has_names(path)
        and all(segment not in {"", ".", ".."} and segment.lower() != ".git" for segment in path.split("/"))
    )


def _segment(segment: str, captured: set[str], *, strict: bool) -> str:
    """Return the expression of one segment; `strict` is how its names are spelt."""
    tokens = list(_TOKEN.finditer(segment))
    if "".join(token[0] for token in tokens) != segment or not tokens or "**" in segment:
        raise ValueError(
            f"the segment {segment!r} is no pattern: write letters, digits, `.`, `_`, `-`, `*` and names as in"
            " {tenant}, with `**` alone between slashes"
        )
    if sum(token[3] is None for token in tokens) > _MOST_WILD:
        raise ValueError(
            f"the segment {segment!r} holds more than {_MOST_WILD} `*` and names: say more of what is meant"
        )
    parts, position = [], 0
    while position < len(tokens):
        wild, settled = _matching(tokens[position : position + 3], captured, strict=strict)
        parts.append(wild)
        position += 2 if settled else 1
    return "".join(parts)


def _matching(tokens: list[re.Match[str]], captured: set[str], *, strict: bool) -> tuple[str, bool]:
    """Return the expression of the first of up to three tokens, and whether it holds the second as well.

    What anything may follow ends with the first text that fits: to try a later one is in vain, and a hostile path
    would make it long.
    """
    name, star, literal = tokens[0].groups()
    if name is None and star is None:
        return re.escape(literal), False
    if name is not None and name in captured:
        return f"(?P={name})", False
    anything = _is_anything(tokens[0], captured, strict=strict)
    if name is not None:
        captured.add(name)
    part = "[^/]*" if star else _NAME if strict else "[^/]+"
    begin = "(?:" if star else f"(?P<{name}>"
    text, following = tokens[1:2], tokens[2:]
    if anything and text and text[0][3] and following and _is_anything(following[0], captured, strict=strict):
        return f"(?>{begin}{part}?){re.escape(text[0][0])})", True
    return f"{begin}{part})", False


def _is_anything(token: re.Match[str], captured: set[str], *, strict: bool) -> bool:
    """Whether a token takes any text at all."""
    return token[2] is not None or (not strict and token[1] is not None and token[1] not in captured)
