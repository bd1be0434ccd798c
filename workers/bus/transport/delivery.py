"""A message as the server delivered it: where it is stored, how often it was delivered, and how to answer it."""

import time
from dataclasses import dataclass, field
from typing import Protocol

from nats.aio.msg import Msg

from workers.bus.transport.connection import Connection
from workers.bus.transport.headers import ATTEMPTS

ACK = b"+ACK"
NAK = b"-NAK"
TERM = b"+TERM"
IN_PROGRESS = b"+WPI"
TICK = "tick."
"""What the subjects of ticks begin with."""
SHORT_RETRIES = 3
"""Delayed naks of one stored message; longer waits are a schedule, so that they hold no place."""
_V1_TOKENS = 9
_DIGITS = 6
"""A longer count is not ours."""


class Voice(Protocol):
    """What a handling has to say, kept back while it is quick."""

    began_at: float
    """Monotonic time in seconds."""

    def speak(self) -> None:
        """Publish what was kept back, and everything from now on at once."""


@dataclass(slots=True)
class Delivery:
    """One delivery of one stored message, held until it is answered."""

    message: Msg
    stream: str
    consumer: str
    sequence: int
    delivered: int
    """How often the server delivered it, this time included."""
    received_at: float = field(default_factory=time.monotonic)
    started_at: float | None = None
    progress: Voice | None = None
    """What its handling has to say, until it is heard."""
    answered: bool = False
    expired: bool = False
    """Cancelled because it took longer than its time limit."""

    @property
    def attempt(self) -> int:
        """Which attempt this is, over all stored copies of the event.

        Deliveries count only up to the short retries: a process that died five times with innocent messages in its
        hands must not use up their attempts.
        """
        return self.attempts_before + min(self.delivered, SHORT_RETRIES + 1)

    @property
    def attempts_before(self) -> int:
        """The attempts used up before this copy was stored."""
        text = (self.message.headers or {}).get(ATTEMPTS, "0")
        return int(text) if len(text) <= _DIGITS and text.isascii() and text.isdigit() else 0

    async def answer(self, connection: Connection, verb: bytes) -> None:
        """Answer once; a second answer is dropped."""
        if not self.answered:
            self.answered = True
            await connection.client.publish(self.message.reply, verb)

    async def still_working(self, connection: Connection) -> None:
        """Extend the lease on the message."""
        if not self.answered:
            await connection.client.publish(self.message.reply, IN_PROGRESS)


def read_delivery(message: Msg) -> Delivery:
    """Read the ack subject, in its first form or in the second (`js_ack_fc_v2`), which adds domain and account.

    Source: nats-server ADR-15 and the JetStream wire API.
    """
    tokens = message.reply.split(".")
    if len(tokens) > _V1_TOKENS:
        tokens = [*tokens[:2], *tokens[4:]]
    return Delivery(
        message=message, stream=tokens[2], consumer=tokens[3], delivered=int(tokens[4]), sequence=int(tokens[5])
    )


def ack_subject(stream: str, consumer: str, sequence: int) -> str:
    """Return an ack subject for a message that was delivered but could not be read."""
    return f"$JS.ACK.{stream}.{consumer}.1.{sequence}.1.0.0"
