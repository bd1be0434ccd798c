"""Sends an access token on a channel without TLS, where gRPC sends no credentials: for the local world alone."""

from typing import Any

import grpc


class Bearer(grpc.UnaryUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Adds the header to each call."""

    def __init__(self, token: str) -> None:
        self._header = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Add it to a call with one request."""
        return continuation(self._authorized(client_call_details), request)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """Add it to a stream."""
        return continuation(self._authorized(client_call_details), request_iterator)

    def _authorized(self, details: Any) -> "_Details":
        return _Details(details, (*(details.metadata or ()), self._header))


class _Details(grpc.ClientCallDetails):
    """What a call is made with."""

    def __init__(self, details: Any, metadata: tuple[tuple[str, str], ...]) -> None:
        self.method = details.method
        self.timeout = details.timeout
        self.metadata = metadata
        self.credentials = details.credentials
        self.wait_for_ready = details.wait_for_ready
        self.compression = details.compression
