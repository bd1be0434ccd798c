"""Changes an attestor that others may be changing too: no update is lost."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from workers.failures import Unavailable
from workers.ports import AttestorAdmin, AttestorRecord, Clock

CALL_SECONDS = 10.0
ATTEMPTS = 10
_PAUSE = timedelta(milliseconds=200)


async def amend(
    admin: AttestorAdmin,
    clock: Clock,
    name: str,
    change: Callable[[AttestorRecord], AttestorRecord],
    *,
    timeout: float = CALL_SECONDS,
) -> AttestorRecord:
    """Read the attestor, apply a change, and update it; when somebody else was quicker, do so again.

    `change` may be called several times, each time with what is there by then; nothing is written when it changes
    nothing. Raises what it raises, and the failures of AttestorAdmin: Unavailable when ten attempts were too few.
    """
    for attempt in range(1, ATTEMPTS + 1):
        found = await admin.read(name)
        wanted = replace(change(found), etag=found.etag)
        if wanted == found:
            return found
        try:
            return await admin.update(wanted, timeout=timeout)
        except Unavailable:
            # A conflict, or an answer that was lost: what is there now says which.
            if attempt == ATTEMPTS:
                raise
        await clock.sleep(_PAUSE * attempt)
    raise AssertionError("unreachable")  # the last attempt returned or raised
