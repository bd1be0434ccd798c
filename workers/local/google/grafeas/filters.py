"""List filters: the part of https://cloud.google.com/artifact-analysis/docs/reference/rest that clients use here.

Terms joined by AND: `kind="ATTESTATION"`, `noteProjectId="p"`, `noteId="n"`, `resourceUrl="…"`,
`has_suffix(resourceUrl, "…")`, `has_prefix(resourceUrl, "…")`. Anything else is refused by name, never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from workers.local.google.status import invalid_argument

_STRING = r'"(?P<{0}>(?:[^"\\]|\\.)*)"'
_TERM = re.compile(
    rf"\s*(?:(?P<field>\w+)\s*=\s*(?:{_STRING.format('text')}|(?P<word>\w+))"
    rf"|(?P<function>\w+)\s*\(\s*(?P<of>\w+)\s*,\s*{_STRING.format('argument')}\s*\))\s*"
)
_AND = re.compile(r"AND\b\s*")
_FIELDS = {
    "kind": "kind",
    "noteProjectId": "note_project",
    "note_project_id": "note_project",
    "noteId": "note_id",
    "note_id": "note_id",
    "resourceUrl": "resource",
    "resource_url": "resource",
    "resourceUri": "resource",
    "resource_uri": "resource",
}
_FUNCTIONS = {"has_suffix": "suffix", "has_prefix": "prefix"}
_HIGHEST = "\U0010ffff"


@dataclass(frozen=True)
class Term:
    """One condition: `field` is "kind", "note_project", "note_id" or "resource"; `how` "equal", "suffix", "prefix"."""

    field: str
    how: str
    value: str


def parse(text: str) -> list[Term]:
    """Return the terms of a filter. Raises INVALID_ARGUMENT that names the part which is not understood."""
    terms: list[Term] = []
    at = 0
    while at < len(text.rstrip()):
        if terms:
            joint = _AND.match(text, at)
            if joint is None:
                raise _refused(text[at:])
            at = joint.end()
        found = _TERM.match(text, at)
        if found is None:
            raise _refused(text[at:])
        terms.append(_term(found))
        at = found.end()
    return terms


def conditions(terms: Iterable[Term]) -> list[tuple[str, tuple[object, ...]]]:
    """Return SQL conditions over the table of occurrences, each with its parameters."""
    return [_condition(term) for term in terms]


def _term(found: re.Match[str]) -> Term:
    name = found["field"] or found["of"]
    field = _FIELDS.get(name)
    if field is None:
        raise _refused(found.group().strip())
    if found["function"] is None:
        raw = found["text"] if found["text"] is not None else found["word"]
        return Term(field, "equal", _unescape(raw))
    how = _FUNCTIONS.get(found["function"])
    if how is None or field != "resource":
        raise _refused(found.group().strip())
    return Term(field, how, _unescape(found["argument"]))


def _condition(term: Term) -> tuple[str, tuple[object, ...]]:
    value = term.value
    if term.field == "kind":
        return "+kind = ?", (value,)
    if term.field == "note_project":
        return "note BETWEEN ? AND ?", (f"projects/{value}/", f"projects/{value}/{_HIGHEST}")
    if term.field == "note_id":
        ending = f"/notes/{value}"
        return "substr(note, ?) = ?", (-len(ending), ending)
    if term.how == "equal":
        return "resource = ?", (value,)
    if term.how == "prefix":
        return "resource BETWEEN ? AND ?", (value, value + _HIGHEST)
    return "reversed BETWEEN ? AND ?", (value[::-1], value[::-1] + _HIGHEST)


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _refused(part: str) -> Exception:
    return invalid_argument(
        f'The filter {part!r} is not understood; terms are kind, noteProjectId, noteId or resourceUrl = "…", '
        'has_suffix(resourceUrl, "…") and has_prefix(resourceUrl, "…"), joined by AND.',
        "filter",
    )
