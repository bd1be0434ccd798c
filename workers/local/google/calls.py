"""A call from its credentials to its answer, the same for both wire forms."""

from __future__ import annotations

import asyncio
import hmac
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from workers.local.google import permissions
from workers.local.google.api import Api, Send
from workers.local.google.faults import Call, Faults
from workers.local.google.status import ApiError, invalid_argument, unauthenticated, unimplemented
from workers.local.google.table import Method

H = TypeVar("H")
_log = logging.getLogger(__name__)
_RESOURCE_FIELDS = ("name", "parent", "attestor", "resource", "policy", "topic", "subscription", "project")


class Calls:
    """Answers calls; *token* is the only access token accepted, None accepts any that is not empty."""

    def __init__(self, faults: Faults, token: str | None) -> None:
        self._faults = faults
        self._token = token

    def authenticate(self, header: str) -> None:
        """Check an Authorization header. Raises UNAUTHENTICATED."""
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise unauthenticated(
                "CREDENTIALS_MISSING", "The request carries no access token; send 'Authorization: Bearer TOKEN'."
            )
        if self._token is not None and not hmac.compare_digest(_bytes(token), _bytes(self._token)):
            raise unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED", "The access token is not the one of this server.")

    async def answer(
        self, api: Api, method: Method, transport: str, header: str, read: Callable[[], Awaitable[Any] | Any]
    ) -> Any:
        """Authenticate, read the request, do the work, and record how it ended. Raises ApiError."""
        with self._recorded(api, method, transport) as ask:
            self.authenticate(header)
            handler = _handler(api.handlers, api, method)
            request = read()
            if inspect.isawaitable(request):
                request = await request
            await ask(request)
            response = handler(request)
            if inspect.isawaitable(response):
                response = await response
            await self._faults.after(method.name)
        return response

    async def stream(self, api: Api, method: Method, header: str, requests: AsyncIterator[Any], send: Send) -> None:
        """Authenticate, let the first request in, answer the stream, and record how it ended. Raises ApiError."""
        with self._recorded(api, method, "grpc") as ask:
            self.authenticate(header)
            handler = _handler(api.streams, api, method)
            try:
                first = await anext(requests)
            except StopAsyncIteration:
                raise invalid_argument("The stream ended before its first request.") from None
            await ask(first)
            await handler(_following(first, requests), send)
            await self._faults.after(method.name)

    @contextmanager
    def _recorded(self, api: Api, method: Method, transport: str) -> Iterator[Callable[[Any], Awaitable[None]]]:
        """Record how a call ends; gives what lets its request in. Raises ApiError, for unforeseen errors INTERNAL."""
        began, code, resource = time.time(), "OK", ""
        clock = time.perf_counter()

        async def ask(request: Any) -> None:
            nonlocal resource
            resource = _resource(request)
            permissions.check(self._faults, api.name, method.name, request)
            await self._faults.before(f"{api.name}.googleapis.com", method.name)

        try:
            yield ask
        except ApiError as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except Exception as error:
            code = "INTERNAL"
            _log.exception("%s of %s failed", method.name, api.name)
            raise ApiError(
                "INTERNAL", f"{method.name} met a {type(error).__name__}; the server's log has it."
            ) from error
        finally:
            took = time.perf_counter() - clock
            self._faults.record(Call(method.name, resource, code, transport, began, took))


async def _following(first: Any, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Yield *first* and then the *requests*."""
    yield first
    async for request in requests:
        yield request


def _bytes(token: str) -> bytes:
    """Return a token's bytes; HTTP headers may hold some that are no UTF-8."""
    return token.encode("utf-8", "surrogateescape")


def _handler(handlers: Mapping[str, H], api: Api, method: Method) -> H:
    handler = handlers.get(method.path)
    if handler is None:
        raise unimplemented(f"{method.name} of {api.name}")
    return handler


def _resource(request: Any) -> str:
    """Return the resource that a request is about, for the log."""
    for field in _RESOURCE_FIELDS:
        value = getattr(request, field, "")
        if isinstance(value, str) and value:
            return value
        if getattr(value, "name", ""):
            return str(value.name)
    return ""
