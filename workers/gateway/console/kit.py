"""What a console needs besides the door."""

from dataclasses import dataclass

from workers.bus.transport.connection import Connection
from workers.console_settings import ConsoleSettings


@dataclass(frozen=True, slots=True)
class ConsoleKit:
    """The settings of a console, its secret, and the bus as `operator`."""

    settings: ConsoleSettings
    secret: str
    operator: Connection
