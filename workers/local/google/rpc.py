"""The gRPC form: one generic handler for every method of every served API, unary or with streams on both sides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import grpc.aio

from workers.local.google.api import Api, Apis
from workers.local.google.calls import Calls
from workers.local.google.status import ApiError, invalid_argument, unimplemented
from workers.local.google.table import Method

# A request to publish may hold 10 MB, gRPC's own bound is 4 MiB.
_LARGEST_MESSAGE = 12 * 1024 * 1024
# Milliseconds between two signs of life that a client may ask for.
_LEAST_PING_INTERVAL = 10_000
_CODES = {code.name: code for code in grpc.StatusCode}


class RpcHandler(grpc.GenericRpcHandler):
    """Answers calls by their path; messages are parsed only after the API behind the path was built."""

    def __init__(self, apis: Apis, calls: Calls) -> None:
        self._apis = apis
        self._calls = calls

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """Return the handler of one call, or None (gRPC then answers UNIMPLEMENTED)."""
        path = handler_call_details.method
        room = self._apis.room_of(path)
        if room is None:
            return None
        if path in room.streams:
            return grpc.stream_stream_rpc_method_handler(partial(self._stream, path))
        return grpc.unary_unary_rpc_method_handler(partial(self._answer, path))

    async def _answer(self, path: str, content: bytes, context: Any) -> bytes:
        try:
            api, method = await self._find(path)
            read = partial(_parse, method.request, content)
            response = await self._calls.answer(api, method, "grpc", _header(context), read)
        except ApiError as error:
            await _abort(context, error)
            raise
        return bytes(response.SerializeToString())

    async def _stream(self, path: str, contents: AsyncIterator[bytes], context: Any) -> None:
        async def send(response: Any) -> None:
            await context.write(response.SerializeToString())

        try:
            api, method = await self._find(path)
            requests = _parsed(method.request, contents)
            await self._calls.stream(api, method, _header(context), requests, send)
        except ApiError as error:
            await _abort(context, error)
            raise

    async def _find(self, path: str) -> tuple[Api, Method]:
        """Return the API and the method of a path. Raises UNIMPLEMENTED."""
        api = await self._apis.of_rpc(path)
        method = api.methods.get(path) if api else None
        if api is None or method is None:
            raise unimplemented(path)
        return api, method


def _header(context: Any) -> str:
    return str(dict(context.invocation_metadata() or ()).get("authorization", ""))


async def _abort(context: Any, error: ApiError) -> None:
    """End a call with the status of *error*."""
    trailer = ("grpc-status-details-bin", error.status().SerializeToString())
    await context.abort(_CODES[error.code], error.message, (trailer,))


async def _parsed(request: Any, contents: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    async for content in contents:
        yield _parse(request, content)


def _parse(request: Any, content: bytes) -> Any:
    try:
        return request.FromString(content)
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise invalid_argument("The request is not a serialized message of this method.") from error


async def serve(apis: Apis, calls: Calls, port: int) -> tuple[grpc.aio.Server, int]:
    """Start the server on 127.0.0.1; returns it with its port. Raises RuntimeError when the port is taken."""
    server = grpc.aio.server(
        options=(
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
            # Clients of Pub/Sub ask an idle stream for a sign of life every 30 s; the default cuts them off for it.
            ("grpc.http2.min_ping_interval_without_data_ms", _LEAST_PING_INTERVAL),
        )
    )
    server.add_generic_rpc_handlers((RpcHandler(apis, calls),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server, bound
