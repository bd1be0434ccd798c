"""Requests to the JetStream API, as JSON: nats-py's own configuration classes lack fields that we state.

Source: the JetStream wire API (`$JS.API.…`). The server answers a request that we may not make with silence, and says
so on the side; both are brought together here.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import nats.errors

from workers.bus.transport.connection import Connection
from workers.failures import Denied, SealaneError, Unavailable

STREAM_NOT_FOUND = 10059
CONSUMER_NOT_FOUND = 10014
MESSAGE_NOT_FOUND = 10037


class ApiError(SealaneError):
    """The server refused a request; `code` is its `err_code`."""

    def __init__(self, subject: str, code: int, description: str) -> None:
        super().__init__(f"NATS refuses {subject}: {description} ({code})")
        self.code = code
        self.description = description


class JetStreamApi:
    """The administrative requests, over one connection. `patience` is the seconds to wait for an answer."""

    def __init__(self, connection: Connection, *, patience: float = 10.0) -> None:
        self._connection = connection
        self._patience = patience

    async def request(self, verb: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask `$JS.API.VERB`. Raises ApiError, Denied when the identity may not ask, Unavailable without an answer."""
        return await self._ask(f"$JS.API.{verb}", json.dumps(body).encode() if body is not None else b"")

    async def stream(self, name: str) -> dict[str, Any] | None:
        """Return a stream's configuration and state, or None when there is no such stream."""
        try:
            return await self.request(f"STREAM.INFO.{name}")
        except ApiError as error:
            if error.code == STREAM_NOT_FOUND:
                return None
            raise

    async def consumer(self, stream: str, name: str) -> dict[str, Any] | None:
        """Return a consumer's configuration and state, or None when there is no such consumer or stream."""
        try:
            return await self.request(f"CONSUMER.INFO.{stream}.{name}")
        except ApiError as error:
            if error.code in {CONSUMER_NOT_FOUND, STREAM_NOT_FOUND}:
                return None
            raise

    async def subjects(self, stream: str, pattern: str) -> dict[str, int]:
        """Return how many messages a stream holds on each subject of a pattern (the first 100,000 subjects)."""
        found = await self.request(f"STREAM.INFO.{stream}", {"subjects_filter": pattern})
        return dict(found["state"].get("subjects") or {})

    async def store(self, subject: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Publish one message and wait until it is stored. For the hot path there is `transport.publisher`."""
        await self._ask(subject, body, dict(headers))

    async def streams(self) -> AsyncIterator[str]:
        """Name all streams."""
        async for name in self._pages("STREAM.NAMES", "streams"):
            yield name

    async def consumers(self, stream: str) -> AsyncIterator[dict[str, Any]]:
        """Describe all consumers of a stream, with configuration and state."""
        async for info in self._pages(f"CONSUMER.LIST.{stream}", "consumers"):
            yield info

    async def _pages(self, verb: str, field: str) -> AsyncIterator[Any]:
        offset = 0
        while True:
            found = await self.request(verb, {"offset": offset})
            page = found.get(field) or []
            for one in page:
                yield one
            offset += len(page)
            if not page or offset >= found["total"]:
                return

    async def _ask(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
        refused_before = self._refusals(subject)
        asking = asyncio.create_task(
            self._connection.client.request(subject, body, timeout=self._patience, headers=headers)
        )
        try:
            while not (await asyncio.wait({asking}, timeout=0.1))[0] and self._refusals(subject) <= refused_before:
                pass
            if not asking.done():
                raise Denied(f"the identity {self._connection.identity!r} may not publish to {subject}")
            answer = await asking
        except (TimeoutError, nats.errors.Error) as error:
            raise Unavailable(f"NATS does not answer {subject}: is JetStream on, and is there a leader?") from error
        finally:
            asking.cancel()
        found: dict[str, Any] = json.loads(answer.data)
        if "error" in found:
            raise ApiError(subject, found["error"].get("err_code", 0), found["error"].get("description", ""))
        return found

    def _refusals(self, subject: str) -> int:
        """Count the permissions violations about a subject: they arrive beside the request, which stays silent."""
        return sum(f'"{subject}"'.lower() in refusal.lower() for refusal in self._connection.refusals)
