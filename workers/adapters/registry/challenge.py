"""The WWW-Authenticate header: what a registry wants to see before it answers (RFC 9110 section 11.6.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_CHALLENGE = re.compile(r"(?:^|,)\s*(basic|bearer)(?=\s|$)", re.IGNORECASE)
_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """A scheme that we can answer, with its parameters."""

    scheme: Literal["basic", "bearer"]
    parameters: Mapping[str, str]


def read_challenge(header: str) -> Challenge | None:
    """Return what to answer, Bearer before Basic, or None if neither is offered."""
    starts = list(_CHALLENGE.finditer(header))
    ends = [*(start.start() for start in starts), len(header)][1:]
    offers: dict[str, Mapping[str, str]] = {}
    for start, end in zip(starts, ends, strict=True):
        pairs = _PARAMETER.findall(header[start.end() : end])
        offers.setdefault(start[1].lower(), {name.lower(): quoted or bare for name, quoted, bare in pairs})
    if "bearer" in offers:
        return Challenge("bearer", offers["bearer"])
    return Challenge("basic", offers["basic"]) if "basic" in offers else None
