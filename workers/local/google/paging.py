"""Pages of lists: sizes within bounds and opaque tokens that fit one list only (https://google.aip.dev/158)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from workers.local.google.status import invalid_argument
from workers.local.google.store import Store

_FORM = struct.Struct(">q8s")


@dataclass(frozen=True)
class Page:
    """Where a page starts (after the sequence *after*) and how many items it holds; *scope* names its list."""

    scope: str
    after: int
    size: int

    def next_token(self, last: int) -> str:
        """Return the token of the page that follows the item with the sequence *last*."""
        return base64.urlsafe_b64encode(_FORM.pack(last, _digest(self.scope))).decode().rstrip("=")


def page(scope: str, *, size: int, token: str, default: int = 100, maximum: int = 1000) -> Page:
    """Return the page that a request asks for. Raises INVALID_ARGUMENT for a size out of bounds or a foreign token."""
    if not 0 <= size <= maximum:
        raise invalid_argument(f"page_size is {size}; it must be between 0 and {maximum}.", "page_size")
    return Page(scope, _after(scope, token) if token else 0, size or default)


@dataclass(frozen=True)
class TextPage:
    """A page of a list in the order of its texts: what comes after the text *after*, *size* of it."""

    scope: str
    after: str
    size: int

    def of(self, texts: Iterable[str]) -> tuple[list[str], str]:
        """Return those of the *texts* that are on this page, and the token of the next one, empty on the last."""
        chosen = heapq.nsmallest(self.size + 1, (text for text in texts if text > self.after))
        if len(chosen) <= self.size:
            return chosen, ""
        last = chosen[self.size - 1].encode()
        return chosen[: self.size], base64.urlsafe_b64encode(_digest(self.scope) + last).decode().rstrip("=")


def text_page(scope: str, *, size: int, token: str, default: int = 100, maximum: int = 1000) -> TextPage:
    """Return the page that a request asks for; a larger size is the maximum. Raises INVALID_ARGUMENT as `page` does."""
    if size < 0:
        raise invalid_argument(f"page_size is {size}; it must not be negative.", "page_size")
    after = ""
    if token:
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
            after = raw[8:].decode()
        except ValueError:
            raise invalid_argument("page_token is not one that this service gave out.", "page_token") from None
        if raw[:8] != _digest(scope):
            raise invalid_argument("page_token belongs to another list; parent and filter must stay as they were.")
    return TextPage(scope, after, min(size, maximum) or default)


def stored(store: Store, kind: str, parent: str, request: Any) -> tuple[list[bytes], str]:
    """Return what a list request asks for of the resources below *parent*, and the token of the next page.

    Bodies come in order of creation. Raises INVALID_ARGUMENT as `page` does.
    """
    wanted = page(f"{kind}|{parent}", size=request.page_size, token=request.page_token)
    rows = store.page(kind, parent, wanted.after, wanted.size + 1)
    bodies = [body for _, body in rows[: wanted.size]]
    return bodies, wanted.next_token(rows[wanted.size - 1][0]) if len(rows) > wanted.size else ""


def _after(scope: str, token: str) -> int:
    try:
        last, digest = _FORM.unpack(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, struct.error, ValueError):
        raise invalid_argument("page_token is not one that this service gave out.", "page_token") from None
    if digest != _digest(scope):
        raise invalid_argument("page_token belongs to another list; parent and filter must stay as they were.")
    return int(last)


def _digest(scope: str) -> bytes:
    return hashlib.sha256(scope.encode()).digest()[:8]
