"""The connection to NATS: reconnects for ever, notices a dead peer quickly, and proves that it is alive.

`is_connected` and `flush()` prove nothing: a header that nats-py cannot parse ends its read loop while both still
answer. Liveness here is a request round trip with an answer.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import nats
import nats.errors
from nats.aio.client import Client

from workers.bus.transport.library import allow_websockets
from workers.failures import Denied, Invalid, Unavailable

log = logging.getLogger(__name__)
PING_INTERVAL = 5
"""Seconds between pings; two without an answer end the connection."""
SAY_AGAIN = 60.0
"""Seconds between two lines about a server that is still away."""
_WEBSOCKETS = frozenset({"ws", "wss"})
_SCHEMES = _WEBSOCKETS | {"nats", "tls"}
PENDING_BYTES = 32 * 1024 * 1024


@dataclass
class Connection:
    """One NATS connection of one identity, with what the rest of the bus must know about it."""

    client: Client
    identity: str
    inbox_prefix: str
    reconnected: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Called after every reconnect: outstanding pulls and publishes are gone by then."""
    closing: bool = False
    said_at: float = float("-inf")
    """When an attempt to reconnect was last said to fail."""
    refusals: list[str] = field(default_factory=list)
    """Permission errors: they arrive only here, the caller sees a timeout."""

    def is_time_to_say(self) -> bool:
        """Whether to say once more that the server is away: twice a second would bury everything else in the log."""
        if time.monotonic() - self.said_at < SAY_AGAIN:
            return False
        self.said_at = time.monotonic()
        return True

    async def alive(self, timeout: float = 2.0) -> float | None:
        """Return the seconds of a request round trip with an answer, or None when there was none in time.

        The request is the connection's own echo: a message to its own inbox comes back through the server.
        """
        if not self.client.is_connected:
            return None
        inbox = f"{self.inbox_prefix}.alive.{time.monotonic_ns()}"
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def answer(_message: object) -> None:
            if not answered.done():
                answered.set_result(None)

        started = time.monotonic()
        try:
            async with asyncio.timeout(timeout):
                subscription = await self.client.subscribe(inbox, cb=answer)
                await self.client.publish(inbox, b"")
                await answered
                await subscription.unsubscribe()
        except (TimeoutError, nats.errors.Error):
            return None
        return time.monotonic() - started

    async def on_error(self, error: Exception) -> None:
        """Keep what was refused, and say what else is wrong."""
        text = str(error)
        if "permissions violation" in text.lower():
            self.refusals.append(text)
            del self.refusals[:-50]
        if self.client.is_connected or self.is_time_to_say():
            log.warning("NATS: %s", text or type(error).__name__)

    async def on_reconnect(self) -> None:
        """Tell everybody whose requests are gone."""
        log.warning("NATS: connected again")
        for callback in self.reconnected:
            await callback()

    async def on_disconnect(self) -> None:
        """Say it, unless it was meant."""
        if not self.closing:
            log.warning("NATS: connection lost, trying again until it is back")

    async def close(self) -> None:
        """Flush what is pending and close."""
        self.closing = True
        try:
            if self.client.is_connected:
                await self.client.flush(timeout=2)
        except (nats.errors.Error, TimeoutError):
            log.warning("closing the connection to NATS before everything was flushed")
        await self.client.close()


async def connect(
    servers: str, *, identity: str, seed: str | None = None, first_wait: float = 3.0, reconnect_wait: float = 0.5
) -> Connection:
    """Connect under an identity (`worker-attest`, `operator`, …); its inbox prefix is `_INBOX_<identity>`.

    `seed` is the nkey seed itself. Raises Invalid for what is no address, Unavailable when no server answers within
    `first_wait` seconds, Denied when the server refuses the identity.
    """
    urls = [_checked(url.strip()) for url in servers.split(",")]
    if any(urlsplit(url).scheme in _WEBSOCKETS for url in urls):
        await asyncio.to_thread(allow_websockets)
    client = Client()
    connection = Connection(client=client, identity=identity, inbox_prefix=f"_INBOX_{identity}")
    connecting = client.connect(
        urls,
        name=f"sealane {identity}",
        inbox_prefix=connection.inbox_prefix.encode(),
        error_cb=connection.on_error,
        reconnected_cb=connection.on_reconnect,
        disconnected_cb=connection.on_disconnect,
        max_reconnect_attempts=-1,
        reconnect_time_wait=reconnect_wait,  # type: ignore[arg-type] # seconds, fractions work
        ping_interval=PING_INTERVAL,
        max_outstanding_pings=2,
        connect_timeout=2,
        pending_size=PENDING_BYTES,
        drain_timeout=5,
        skip_subject_validation=True,  # our subjects are made of encoded tokens; checking each again costs
        nkeys_seed_str=seed,
    )
    await _first(client, connecting, servers, identity, first_wait)
    return connection


def _checked(url: str) -> str:
    """Return a server's URL. Raises Invalid when it is none, since the client would try it until time is up."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in _SCHEMES and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise Invalid(f"SEALANE_NATS holds {url!r}, which is no address of a NATS server: write nats://HOST:PORT")
    if parts.username or parts.password:
        raise Invalid(
            "SEALANE_NATS holds a user or a password: leave it out, an identity is given by SEALANE_NATS_SEED"
        )
    return url


async def _first(
    client: Client, connecting: Coroutine[None, None, None], servers: str, identity: str, patience: float
) -> None:
    """Wait for the first connection, and say in a sentence why there is none."""
    try:
        await asyncio.wait_for(connecting, patience)
    except (TimeoutError, nats.errors.NoServersError, OSError) as error:
        refused = "authorization" in str(client.last_error).lower()
        await _abandon(client)
        if refused:
            # The client tries that again for ever; it is no server that is away.
            raise _refused(servers, identity) from None
        raise Unavailable(
            f"no NATS server answers at {servers}: is it running, and is SEALANE_NATS right? (`sealane up` starts one)"
        ) from error
    except nats.errors.Error as error:
        await _abandon(client)
        if "authorization" in str(error).lower():
            raise _refused(servers, identity) from None
        raise Unavailable(f"NATS at {servers}: {error}") from error


def _refused(servers: str, identity: str) -> Denied:
    return Denied(f"NATS at {servers} refuses the identity {identity!r}: check SEALANE_NATS_SEED")


async def _abandon(client: Client) -> None:
    try:
        await client.close()
    except (nats.errors.Error, OSError):
        log.debug("closing a connection that never was", exc_info=True)
