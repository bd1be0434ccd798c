"""nats-py without what it wants for WebSockets alone: aiohttp takes longer to import than all the rest of it."""

import sys
from importlib import import_module

_TRANSPORT = "nats.aio.transport"


def load() -> None:
    """Import nats-py, which does without aiohttp where there is none: unless this process has it, it is told so.

    None in `sys.modules` does that: https://docs.python.org/3/reference/import.html#the-module-cache.
    """
    if "aiohttp" in sys.modules or _TRANSPORT in sys.modules:
        return
    sys.modules["aiohttp"] = None  # type: ignore[assignment] # as said
    try:
        import_module(_TRANSPORT)
    finally:
        del sys.modules["aiohttp"]


def allow_websockets() -> None:
    """Give nats-py what it connects to ws:// and wss:// with."""
    transport = import_module(_TRANSPORT)
    for name in ("aiohttp", "multidict"):
        setattr(transport, name, import_module(name))
