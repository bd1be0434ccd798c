"""A call from its credentials to its answer, the same for both wire forms."""

from __future__ import annotations

import asyncio
import hmac
import inspect
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from workers.local.google import permissions
from workers.local.google.api import Api, Handler
from workers.local.google.faults import Call, Faults
from workers.local.google.status import ApiError, unauthenticated, unimplemented
from workers.local.google.table import Method

_log = logging.getLogger(__name__)
_RESOURCE_FIELDS = ("name", "parent", "attestor", "resource", "policy")


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
        began, code, request = time.time(), "OK", None
        clock = time.perf_counter()
        try:
            self.authenticate(header)
            handler = _handler(api, method)
            request = read()
            if inspect.isawaitable(request):
                request = await request
            permissions.check(self._faults, api.name, method.name, request)
            await self._faults.before(f"{api.name}.googleapis.com", method.name)
            response = handler(request)
            if inspect.isawaitable(response):
                response = await response
            await self._faults.after(method.name)
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
            self._faults.record(Call(method.name, _resource(request), code, transport, began, took))
        return response


def _bytes(token: str) -> bytes:
    """Return a token's bytes; HTTP headers may hold some that are no UTF-8."""
    return token.encode("utf-8", "surrogateescape")


def _handler(api: Api, method: Method) -> Handler:
    handler = api.handlers.get(method.path)
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
