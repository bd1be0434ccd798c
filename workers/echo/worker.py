"""Consume `echo.requested`, say so, emit `echo.answered`."""

from schemas.echoes import EchoAnswered, EchoRequested
from workers.ports import Progress


async def echo(event: EchoRequested, progress: Progress) -> EchoAnswered:
    """Answer with the message that was asked."""
    progress.log(f"heard {event.message!r}")
    return EchoAnswered(message=event.message)
