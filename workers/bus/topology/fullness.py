"""How full a stream is: EVENTS refuses new events when it is full, so somebody must hear of it before."""

from collections.abc import Mapping
from typing import Any

ALARM = 0.8
"""Share of its size from which a stream is worth a call."""
_MIB = 1024**2


def fullness(info: Mapping[str, Any]) -> float | None:
    """Return the share of its size that a stream holds, from the answer of STREAM.INFO; None when it has no limit."""
    limit = info["config"].get("max_bytes", -1)
    return info["state"]["bytes"] / limit if limit > 0 else None


def alarm(info: Mapping[str, Any]) -> str | None:
    """Say what to do about a stream that refuses new messages when full and nearly is; None when all is well."""
    share = fullness(info)
    if share is None or share < ALARM or info["config"].get("discard") != "new":
        return None
    held, limit = info["state"]["bytes"] / _MIB, info["config"]["max_bytes"] / _MIB
    return (
        f"{info['config']['name']} is {share:.0%} full ({held:,.0f} of {limit:,.0f} MiB) and refuses everything at"
        " 100 %: let the workers catch up, or raise SEALANE_RETENTION and run `sealane streams apply`"
    )
