"""How Pub/Sub is reached: Google's own hosts with the process's credentials, or a plain-text endpoint with a token."""

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import Any

from workers.adapters.google.connection import BUILD_SECONDS, default_credentials
from workers.adapters.secrets import SecretReader, read_secret
from workers.failures import Unavailable

HOST = "pubsub.googleapis.com"
KEEPALIVE = 30.0
"""Seconds of silence after which the other side is asked for a sign of life, as Google's own client does."""

_UNHEARD_SECONDS = 0.5


class PubSubConnection:
    """Builds clients, each with a channel of its own.

    *endpoint* is HOST:PORT of a plain-text endpoint, *token* a secret reference to the bearer token for it. Without an
    endpoint it is Google's own hosts.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        token: str | None = None,
        *,
        secrets: SecretReader = read_secret,
        keepalive: float = KEEPALIVE,
        silence: float = 20.0,
    ) -> None:
        """Take a connection for dead that gives no sign of life within *silence* seconds after it was asked for one."""
        self._endpoint = endpoint
        self._token = token
        self._secrets = secrets
        self._credentials: Any = None
        self._options = (
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_metadata_size", 4 << 20),
            ("grpc.keepalive_time_ms", round(keepalive * 1000)),
            ("grpc.keepalive_timeout_ms", round(silence * 1000)),
            # Of the pings that measure the connection: while one is on its way no sign of life is asked for.
            ("grpc.http2.ping_timeout_ms", round(silence * 1000)),
            # Otherwise an idle connection is asked twice, and then not before something else is sent.
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.max_reconnect_backoff_ms", 10_000),
        )

    async def open(self, reached: Callable[[bool], None] | None = None) -> "OpenClient":
        """Return a client; *reached* hears in the loop when its connection stands, and when it cannot be made.

        Raises Denied, NotFound or Invalid when there are no credentials, Unavailable when it takes for ever.
        """
        try:
            async with asyncio.timeout(BUILD_SECONDS):
                clients = await asyncio.to_thread(import_module, "google.cloud.pubsub_v1")
                transports = await asyncio.to_thread(
                    import_module, "google.pubsub_v1.services.subscriber.transports.grpc"
                )
                channel = await self._channel(transports.SubscriberGrpcTransport)
        except TimeoutError as error:
            raise Unavailable(f"Google's client for Pub/Sub was not ready within {BUILD_SECONDS:g} s") from error
        client = clients.SubscriberClient(transport=transports.SubscriberGrpcTransport(channel=channel))
        return OpenClient(client, channel, reached and _listen(channel, reached))

    async def _channel(self, transport: Any) -> Any:
        if self._endpoint is None:
            if self._credentials is None:
                self._credentials = await asyncio.to_thread(default_credentials)
            return transport.create_channel(HOST, credentials=self._credentials, options=self._options)
        import grpc  # noqa: PLC0415 - loaded with the client

        if self._token is None:
            return grpc.insecure_channel(self._endpoint, options=self._options)
        bearer = import_module("workers.adapters.google.bearer").Bearer(await self._secrets(self._token))
        return grpc.intercept_channel(grpc.insecure_channel(self._endpoint, options=self._options), bearer)


class OpenClient:
    """Google's client, and who listens to its connection."""

    def __init__(self, client: Any, channel: Any, listener: Callable[[Any], None] | None) -> None:
        self.google = client
        self._channel = channel
        self._listener = listener

    async def close(self) -> None:
        """End the connection."""
        if self._listener is not None:
            self._channel.unsubscribe(self._listener)
            # A thread of grpc looks every 0.2 s whether anybody listens, and dies of an error on a closed channel.
            await asyncio.sleep(_UNHEARD_SECONDS)
        await asyncio.to_thread(self.google.close)


def _listen(channel: Any, reached: Callable[[bool], None]) -> Callable[[Any], None]:
    import grpc  # noqa: PLC0415 - loaded with the client

    loop = asyncio.get_running_loop()
    news = {grpc.ChannelConnectivity.READY: True, grpc.ChannelConnectivity.TRANSIENT_FAILURE: False}

    def hear(state: Any) -> None:
        if state in news and not loop.is_closed():
            loop.call_soon_threadsafe(reached, news[state])

    channel.subscribe(hear)
    return hear
