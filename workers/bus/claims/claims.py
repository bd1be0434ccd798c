"""The port Claims on a key-value bucket: compare-and-set, leases as data, results remembered for a while.

A taker must have seen the same revision for one whole lease by its own monotonic clock, so no two clocks are ever
compared. A holder counts what is left from before its last renewal was sent: it never believes longer in its lease
than a taker does.
"""

import asyncio
import logging
import random
import secrets
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from schemas.identity import digest_of
from workers.bus.claims.claim import Claim, encode_key
from workers.bus.topology.streams import claims_stream
from workers.bus.transport.connection import Connection
from workers.bus.transport.headers import TTL
from workers.bus.transport.jetstream import MESSAGE_NOT_FOUND, ApiError, JetStreamApi
from workers.bus.transport.publisher import Publisher, WrongSequence
from workers.failures import Invalid, LeaseLost, PermanentError, SealaneError, Unavailable
from workers.ports import Json, Lease

log = logging.getLogger(__name__)
LONGEST_RESULT = 64 * 1024
"""Bytes of a result as JSON."""
_RELEASE_PATIENCE = 3.0
_FIRST_POLL = 0.05
_LONGEST_POLL = 1.0


class ClaimsBucket:
    """Reads and writes the claims of one worker."""

    def __init__(self, connection: Connection, publisher: Publisher, worker: str) -> None:
        self._stream = claims_stream(worker)
        self._prefix = f"$KV.{self._stream.removeprefix('KV_')}"
        self._api = JetStreamApi(connection, patience=5.0)
        self._publisher = publisher

    async def read(self, key: str) -> tuple[Claim | None, int]:
        """Return a claim and its revision; None and 0 when there is none. Raises PermanentError, Unavailable."""
        subject = f"{self._prefix}.{encode_key(key)}"
        try:
            found = await self._api.request(f"STREAM.MSG.GET.{self._stream}", {"last_by_subj": subject})
        except ApiError as error:
            if error.code == MESSAGE_NOT_FOUND:
                return None, 0
            raise Unavailable(str(error)) from error
        message = found["message"]
        try:
            return Claim.model_validate_json(b64decode(message.get("data", ""))), message["seq"]
        except ValidationError:
            raise PermanentError(
                f"{subject} (sequence {message['seq']} of {self._stream}) holds something that is no claim: "
                "find out who wrote it, then remove it"
            ) from None

    async def write(self, claim: Claim, revision: int, *, ttl: timedelta | None, timeout: float) -> int:
        """Write where `revision` is the last one, and return the new one. Raises WrongSequence, Unavailable."""
        ack = await self._publisher.publish(
            f"{self._prefix}.{encode_key(claim.key)}",
            claim.model_dump_json(exclude_none=True).encode(),
            {} if ttl is None else {TTL: f"{max(1, round(ttl.total_seconds()))}s"},
            message_id=digest_of("claim", claim.token, str(revision), secrets.token_hex(4)),
            expected_sequence=revision,
            timeout=timeout,
        )
        return ack.sequence


class HeldLease:
    """The port Lease: a claim that we hold, renewed in the background."""

    def __init__(self, bucket: ClaimsBucket, claim: Claim, revision: int, sent_at: float) -> None:
        self.attempt = claim.attempt
        self.step = claim.step
        self.kept: Json | None = claim.kept
        self._bucket = bucket
        self._claim = claim
        self._revision = revision
        self._sent_at = sent_at
        self._lost = False
        self._over = False
        self._writing = asyncio.Lock()

    @property
    def taken_over(self) -> bool:
        """See workers.ports.Lease."""
        return self.attempt > 1

    def left(self) -> float:
        """See workers.ports.Lease; 0 once the lease is lost."""
        if self._lost or self._over:
            return 0.0
        return max(0.0, self._sent_at + self._claim.lease - time.monotonic())

    async def mark(self, step: str) -> None:
        """See workers.ports.Lease."""
        await self.write({"step": step})

    async def keep(self, value: Json) -> None:
        """See workers.ports.Lease. Raises also Invalid when it is no JSON or larger than 64 KiB."""
        kept = _as_json(self._claim.key, value)
        await self.write({"kept": kept})
        self.kept = kept

    async def end(self, change: Mapping[str, Any], *, ttl: timedelta | None, patience: float | None = None) -> None:
        """Write the last change; nothing is written after it. Raises LeaseLost, Unavailable."""
        await self.write(change, ttl=ttl, patience=patience, last=True)

    async def renew_for_ever(self) -> None:
        """Renew three times a lease, until it is lost or over."""
        while not (self._lost or self._over):
            await asyncio.sleep(self._claim.lease / 3)
            try:
                await self.write({})
            except LeaseLost:
                if self._lost:
                    log.warning("the claim %s was taken over by somebody else", self._claim.key)
            except SealaneError as error:
                log.warning("the claim %s could not be renewed: %s", self._claim.key, error)

    async def write(
        self,
        change: Mapping[str, Any],
        *,
        ttl: timedelta | None = None,
        patience: float | None = None,
        last: bool = False,
    ) -> None:
        """Write a change of our claim, if it is ours still. Raises LeaseLost, Unavailable."""
        async with self._writing:
            claim = self._claim.model_copy(update={**change, "renewed": datetime.now(UTC)})
            while not (self._lost or self._over):
                sent_at = time.monotonic()
                try:
                    self._revision = await self._bucket.write(
                        claim, self._revision, ttl=ttl, timeout=patience or claim.lease
                    )
                except WrongSequence:
                    if not await self._stored_already(claim):
                        continue
                self._claim, self._sent_at, self._over = claim, sent_at, last
                return
        raise LeaseLost(f"the claim {self._claim.key!r} is somebody else's by now: look again before acting")

    async def _stored_already(self, claim: Claim) -> bool:
        """Look who wrote: somebody else, or we ourselves where an answer was lost or its waiter was cancelled."""
        found, revision = await self._bucket.read(claim.key)
        if found is None or found.token != claim.token:
            self._lost = True
            return False
        self._revision = revision
        return found == claim


_Work = Callable[[HeldLease], Awaitable[Json]]


class NatsClaims:
    """The port Claims. `lease`: how long a holder may be silent; `done_ttl`: how long results are remembered.

    `owner` names this process, for people. The bucket is the worker's own, made by the provisioner.
    """

    def __init__(
        self,
        connection: Connection,
        publisher: Publisher,
        worker: str,
        *,
        lease: timedelta,
        owner: str,
        done_ttl: timedelta = timedelta(hours=24),
    ) -> None:
        self._bucket = ClaimsBucket(connection, publisher, worker)
        self._lease = lease.total_seconds()
        self._owner = owner
        self._done_ttl = done_ttl

    async def once(self, key: str, work: _Work, *, under: Lease | None = None, kept: timedelta | None = None) -> Json:
        """See workers.ports.Claims. Raises also Invalid when the result is no JSON or larger than 64 KiB."""
        held = await self._take(key, remembered=True, under=under)
        if isinstance(held, Claim):
            return held.result or {}
        async with self._renewed(held):
            async with self._given_back_on_failure(held):
                result = _as_json(key, await work(held))
            await held.end({"state": "done", "result": result}, ttl=kept or self._done_ttl)
        return result

    @asynccontextmanager
    async def lease(self, key: str) -> AsyncIterator[HeldLease]:
        """See workers.ports.Claims. Waits while somebody else holds the key."""
        held = await self._take(key, remembered=False)
        if isinstance(held, Claim):
            raise TypeError("a lease is never a result")
        async with self._renewed(held):
            async with self._given_back_on_failure(held):
                yield held
            # Over: the next holder begins anew, and unless this one left something, nothing needs to be kept.
            ttl = self._done_ttl if held.kept is None else None
            with suppress(LeaseLost):
                await held.end({"state": "released", "attempt": 0, "step": None}, ttl=ttl)

    async def _take(self, key: str, *, remembered: bool, under: Lease | None = None) -> HeldLease | Claim:
        """Wait until the key is free or silent for a lease, and take it; or return the claim that holds a result.

        Whoever holds it `under` a lease that is ours now has lost that one: it cannot store a result any more.
        """
        seen_revision, seen_at, pause = -1, 0.0, _FIRST_POLL
        while True:
            found, revision = await self._bucket.read(key)
            if revision != seen_revision:
                seen_revision, seen_at = revision, time.monotonic()
            if found is not None and found.state == "done" and remembered:
                return found
            if under is not None and not under.left():
                raise LeaseLost(f"the lease under which the claim {key!r} is asked for is somebody else's by now")
            silent = time.monotonic() - seen_at
            is_free = under is not None or found is None or found.state != "held"
            if found is None or is_free or silent >= max(self._lease, found.lease):
                held = await self._try(key, found, revision)
                if held is not None:
                    return held
                continue
            rest = max(self._lease, found.lease) - silent
            await asyncio.sleep(min(pause * random.uniform(0.8, 1.2), rest + 0.001))  # noqa: S311 - jitter
            pause = min(pause * 1.5, _LONGEST_POLL, self._lease / 4)

    async def _try(self, key: str, found: Claim | None, revision: int) -> HeldLease | None:
        """Take the key by compare-and-set; None when somebody was faster."""
        fresh = found is None or found.state == "done" or found.attempt == 0
        claim = Claim(
            key=key,
            state="held",
            owner=self._owner,
            token=secrets.token_urlsafe(12),
            attempt=1 if fresh or found is None else found.attempt + 1,
            step=None if fresh or found is None else found.step,
            since=datetime.now(UTC),
            renewed=datetime.now(UTC),
            lease=self._lease,
            kept=None if found is None else found.kept,
        )
        sent_at = time.monotonic()
        try:
            revision = await self._bucket.write(claim, revision, ttl=None, timeout=self._lease)
        except WrongSequence:
            # The server compares before it looks for duplicates: a repeated write of ours is refused like another's.
            written, revision = await self._bucket.read(key)
            if written is None or written.token != claim.token:
                return None
        return HeldLease(self._bucket, claim, revision, sent_at)

    @staticmethod
    @asynccontextmanager
    async def _renewed(held: HeldLease) -> AsyncIterator[None]:
        renewing = asyncio.create_task(held.renew_for_ever(), name="renew a claim")
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    @staticmethod
    @asynccontextmanager
    async def _given_back_on_failure(held: HeldLease) -> AsyncIterator[None]:
        """Give the claim up when the block raises: the next taker need not wait, and knows that somebody tried."""
        try:
            yield
        except BaseException:
            try:
                await held.end({"state": "released"}, ttl=None, patience=_RELEASE_PATIENCE)
            except SealaneError as error:
                log.warning("a claim could not be given back, it ends with its lease: %s", error)
            raise


def _as_json(key: str, result: Json) -> dict[str, Any]:
    """Return a result as it is stored and as later callers get it."""
    try:
        written = to_json(result)
    except PydanticSerializationError as error:
        raise Invalid(f"the result for the claim {key!r} is no JSON: {error}") from None
    if len(written) > LONGEST_RESULT:
        raise Invalid(f"the result for the claim {key!r} has {len(written)} bytes, more than {LONGEST_RESULT}")
    stored: dict[str, Any] = from_json(written)
    return stored
