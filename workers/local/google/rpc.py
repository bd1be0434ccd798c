"""The gRPC form: one generic handler for every method of every served API."""

from __future__ import annotations

from functools import partial
from typing import Any

import grpc
import grpc.aio

from workers.local.google.api import Apis
from workers.local.google.calls import Calls
from workers.local.google.status import ApiError, invalid_argument, unimplemented

_CODES = {code.name: code for code in grpc.StatusCode}


class RpcHandler(grpc.GenericRpcHandler):
    """Answers unary calls by their path; messages are parsed only after the API behind the path was built."""

    def __init__(self, apis: Apis, calls: Calls) -> None:
        self._apis = apis
        self._calls = calls

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """Return the handler of one call, or None (gRPC then answers UNIMPLEMENTED)."""
        path = handler_call_details.method
        if self._apis.room_of(path) is None:
            return None
        return grpc.unary_unary_rpc_method_handler(partial(self._answer, path))

    async def _answer(self, path: str, content: bytes, context: Any) -> bytes:
        try:
            api = await self._apis.of_rpc(path)
            method = api.methods.get(path) if api else None
            if api is None or method is None:
                raise unimplemented(path)
            header = dict(context.invocation_metadata() or ()).get("authorization", "")
            response = await self._calls.answer(api, method, "grpc", header, partial(_parse, method.request, content))
        except ApiError as error:
            trailer = ("grpc-status-details-bin", error.status().SerializeToString())
            await context.abort(_CODES[error.code], error.message, (trailer,))
            raise
        return bytes(response.SerializeToString())


def _parse(request: Any, content: bytes) -> Any:
    try:
        return request.FromString(content)
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise invalid_argument("The request is not a serialized message of this method.") from error


async def serve(apis: Apis, calls: Calls, port: int) -> tuple[grpc.aio.Server, int]:
    """Start the server on 127.0.0.1; returns it with its port. Raises RuntimeError when the port is taken."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    server.add_generic_rpc_handlers((RpcHandler(apis, calls),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server, bound
