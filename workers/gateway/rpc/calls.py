"""A call: who makes it, what it is told when it is refused, and what is counted of it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import grpc.aio
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from workers.gateway.events import EventsDoor
from workers.gateway.metrics import NOBODY, DoorMetrics
from workers.gateway.problems import Problem
from workers.gateway.rpc.refusals import status_of
from workers.gateway.tokens import Bearer

log = logging.getLogger(__name__)
_T = TypeVar("_T")
_M = TypeVar("_M", bound=Message)
Context = grpc.aio.ServicerContext[Any, Any]
_FAILED = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the door failed at this call: its log says why")
_LEAVE_SECONDS = 30.0
"""How long a client that reads nothing may keep its end waiting; its connection is ended later, by its age."""
_CERTIFICATE = "x509_pem_cert"
"""Where gRPC keeps the client's certificate once it has verified it."""


@dataclass(slots=True)
class Call:
    """One call that is being answered."""

    context: Context
    principal: str = NOBODY
    """Who makes it, once that is known."""


class Calls:
    """Answers calls, and knows who makes them. `name` is what a call is counted as."""

    def __init__(self, events: EventsDoor, metrics: DoorMetrics) -> None:
        self._events = events
        self._metrics = metrics
        self._working: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def answered(self, name: str, context: Context) -> AsyncIterator[Call]:
        """Answer a call in the block: a Problem in it becomes a status of gRPC, with details."""
        call, begun = Call(context), time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            yield call
        except Problem as problem:
            status = status_of(problem)
            code = status.code
            await _abort(context, status)
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        except Exception:
            # What went wrong is for the log: its text might hold anything.
            log.exception("%s failed", name)
            code = grpc.StatusCode.INTERNAL
            await _abort(context, status_of(_FAILED))
        finally:
            self._metrics.answered(name, code.name, call.principal, time.perf_counter() - begun)

    async def known_with(self, call: Call, kind: type[_M], request: bytes) -> tuple[Bearer, _M]:
        """Return who makes a call, and its request: that of a stranger is not read. Raises Problem."""
        bearer = await self.known(call)
        message = kind()
        try:
            message.ParseFromString(request)
        except DecodeError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, f"the request is no {kind.DESCRIPTOR.full_name}: {error}") from None
        return bearer, message

    async def finished(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Return what work comes to. It goes on when the caller goes: others may wait for what it has begun."""
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return await asyncio.shield(task)

    async def close(self, patience: float) -> None:
        """Wait for what goes on without its caller, `patience` seconds at most."""
        if self._working:
            await asyncio.wait(self._working, timeout=patience)

    async def known(self, call: Call) -> Bearer:
        """Return who makes a call: by its metadata `authorization`, else by its certificate. Raises Problem."""
        metadata = call.context.invocation_metadata() or ()
        given = [str(value) for name, value in metadata if name == "authorization"]
        certificates = call.context.auth_context().get(_CERTIFICATE, ())
        bearer = await self.finished(self._events.known(", ".join(given), next(iter(certificates), None)))
        call.principal = bearer.principal.name
        return bearer


def text_of(time: Timestamp, field: str, **members: Any) -> str:
    """Return a time as text (RFC 3339). Raises Problem (400) when it is none."""
    try:
        return time.ToJsonString()
    except ValueError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{field}: {error}", attribute=field, **members) from None


async def _abort(context: Context, status: grpc.Status) -> None:
    """End a call, with the trailing metadata that was set before."""
    kept = context.trailing_metadata() or ()
    try:
        async with asyncio.timeout(_LEAVE_SECONDS):
            await context.abort(status.code, status.details, (*kept, *(status.trailing_metadata or ())))
    except TimeoutError:
        raise asyncio.CancelledError from None
