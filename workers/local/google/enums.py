"""Names of enum values that come from outside: proto3 enums are open, so any number may arrive."""

from __future__ import annotations

from enum import IntEnum

from workers.local.google.status import invalid_argument


def name_of(enum: type[IntEnum], number: int, field: str) -> str:
    """Return the name of *number* in *enum*. Raises INVALID_ARGUMENT naming *field* when it has none."""
    try:
        return enum(number).name
    except ValueError:
        raise invalid_argument(f"{field} is {number}, which {enum.__name__} does not define.", field) from None
