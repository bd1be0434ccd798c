"""What a console needs besides the door."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from workers.bus.transport.connection import Connection
from workers.console_settings import ConsoleSettings, Provider


class AskProviders(Protocol):
    """Asks providers who a person is."""

    async def begin(self, provider: Provider, issuer: str, redirect: str) -> tuple[str, dict[str, str]]:
        """Return where to send the person, and what must be known when it comes back. Raises Unavailable."""
        ...

    async def finish(
        self, provider: Provider, issuer: str, redirect: str, begun: Mapping[str, str], code: str
    ) -> dict[str, Any]:
        """Return `{"id_token": …}`, or `{"claims": …}` of a provider without ID tokens. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class ConsoleKit:
    """The settings of a console, its secret, who asks its providers, and the bus as `operator`."""

    settings: ConsoleSettings
    secret: str
    ask: AskProviders
    operator: Connection
