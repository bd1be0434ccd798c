"""`sealane.v1.Progress/Tail`: a run, live, under the same ids as by Server-Sent Events."""

import asyncio
from contextlib import aclosing
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import grpc
from google.protobuf import json_format

from workers.gateway.live.progress import LiveDoor, place_of
from workers.gateway.live.tale import Tale, Told
from workers.gateway.pb.sealane.v1 import progress_pb2
from workers.gateway.problems import Problem
from workers.gateway.rpc.calls import Calls, Context

TAIL = "sealane.v1.Progress/Tail"
RESUME = "sealane-resume"
"""Trailing metadata: the id after which a follower goes on, wherever it does."""
STUCK = 30.0
"""Seconds after which a client that reads nothing is cut off: it goes on where it was, if it comes back."""
_AT_ONCE = 1.0
_MOST_BYTES = 3 << 20
"""Clients take messages of 4 MiB."""


class ProgressService:
    """Tells runs to those who may see them."""

    def __init__(self, calls: Calls, live: LiveDoor, *, stuck: float = STUCK) -> None:
        self._calls = calls
        self._live = live
        self._stuck = stuck
        self._telling: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """How many are told something."""
        return len(self._telling)

    @property
    def methods(self) -> "dict[str, grpc.RpcMethodHandler[bytes, Any]]":
        """The methods of the service, by name."""
        write = progress_pb2.TailResponse.SerializeToString
        return {"Tail": grpc.unary_stream_rpc_method_handler(self.tail, response_serializer=write)}

    async def tail(self, request: bytes, context: Context) -> None:
        """Tell a run until it is complete, the follower goes, or the door closes."""
        task = asyncio.current_task()
        if task is not None:
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)
        async with self._calls.answered(TAIL, context) as call:
            bearer, asked = await self._calls.known_with(call, progress_pb2.TailRequest, request)
            with self._live.quota.place(bearer.principal):
                tale = await self._live.tale(bearer.principal, asked.run, place_of(asked.after, "after"))
                await context.send_initial_metadata(())
                if tale is not None:
                    await self._tell_all(tale, asked.after, context)

    async def _tell_all(self, tale: Tale, last: str, context: Context) -> None:
        """Tell a run, from after the id `last`. Raises Problem (503) when it is broken off."""
        context.set_trailing_metadata(((RESUME, last),))
        async with aclosing(tale.told()) as telling:
            async for told in telling:
                if told.id is not None:
                    last = told.id
                    context.set_trailing_metadata(((RESUME, last),))
                await self._tell(told, context)
                if told.kind == "completed":
                    return
        if not tale.complete:
            raise _broken_off("the door closes", last)

    async def close(self) -> None:
        """Let those who are told something come to their end, which the live door has said; cut off who is stuck."""
        if self._telling:
            await asyncio.wait(self._telling, timeout=_AT_ONCE)
        for task in self._telling:
            task.cancel()

    async def _tell(self, told: Told, context: Context) -> None:
        message = message_of(told)
        if message is None:
            return
        try:
            async with asyncio.timeout(self._stuck):
                await context.write(message)
        except TimeoutError:
            # It was handed over: should the client read again, it gets that message and then this end.
            raise _broken_off(f"nothing was read for {self._stuck:g} s", told.id) from None


@lru_cache(maxsize=16)
def message_of(told: Told) -> progress_pb2.TailResponse | None:
    """Return what is told as a message, or None: that the line is open is said by the transport.

    What is told to many is made once, so nobody changes it.
    """
    if told.kind == "heartbeat":
        return None
    message = progress_pb2.TailResponse(id=told.id or "")
    part = getattr(message, told.kind)
    part.SetInParent()
    json_format.Parse(told.data, part, ignore_unknown_fields=True)
    while message.completed.branches and message.ByteSize() > _MOST_BYTES:
        half = len(message.completed.branches) // 2
        message.completed.branches_left_out += len(message.completed.branches) - half
        del message.completed.branches[half:]
    return message


def _broken_off(why: str, last: str | None) -> Problem:
    goes_on = f"go on after {last}" if last else "begin again"
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}: {goes_on}", after=_AT_ONCE)
