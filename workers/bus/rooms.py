"""Finds the worker rooms: every package beside this one that holds a `CARD`. No list to keep by hand."""

import importlib
import pkgutil
from functools import cache
from importlib.util import find_spec

import workers
from workers.bus.wiring import Wiring, wire
from workers.card import Card
from workers.failures import Invalid

_NOT_ROOMS = frozenset({"bus", "adapters", "local", "gateway", "commands"})


@cache
def cards() -> dict[str, Card]:
    """Return every worker's card by name, without importing its handler."""
    found = {}
    for module in pkgutil.iter_modules(workers.__path__):
        if module.ispkg and module.name not in _NOT_ROOMS:
            card = getattr(importlib.import_module(f"workers.{module.name}"), "CARD", None)
            if card is not None:
                found[card.name] = card
    return found


@cache
def wiring(name: str) -> Wiring:
    """Import a worker's handler and read its wiring. Raises Invalid when there is no such worker."""
    card = cards().get(name)
    if card is None or find_spec(f"workers.{name}.worker") is None:
        raise Invalid(f"there is no worker {name!r}: the workers are {', '.join(sorted(cards()))}")
    module = importlib.import_module(f"workers.{name}.worker")
    return wire(card, getattr(module, name), getattr(module, "tick", None))


def all_wirings() -> dict[str, Wiring]:
    """Return the wiring of every worker; for tools, not for a worker's start-up."""
    return {name: wiring(name) for name in sorted(cards())}


def consumers_of(event_type: str) -> tuple[str, ...]:
    """Return the workers which consume a type of event."""
    return tuple(name for name, wired in all_wirings().items() if event_type in wired.consumed_types)
