"""The port Rates on a worker's bucket of claims: turns handed out by compare-and-set, one row for each rate.

The generic cell rate algorithm without a burst (ITU-T I.371): the row holds when the next turn is free, and whoever
takes it moves that on by one interval. A row is consulted only once somebody was refused, and for a while after: as
long as the outside refuses nobody, a turn costs nothing but a look every few seconds.
"""

import asyncio
import time
from base64 import b64decode
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.identity import digest_of
from workers.bus.claims.claim import encode_key
from workers.bus.topology.streams import claims_stream
from workers.bus.transport.connection import Connection
from workers.bus.transport.headers import TTL
from workers.bus.transport.jetstream import MESSAGE_NOT_FOUND, ApiError, JetStreamApi
from workers.bus.transport.publisher import Publisher, WrongSequence
from workers.failures import QuotaExhausted, Unavailable

REMEMBERED = timedelta(minutes=10)
"""How long a limit is kept to after the last refusal."""
LOOK_SECONDS = 2.0
"""How long a replica may not know that another one was refused."""
DEFAULT_LIMIT = 60.0
"""Calls a minute, where the refusal does not say."""
_KEPT_SECONDS = 3600
"""How long a row stays that nobody writes any more."""
_MARGIN = 1.02
"""Turns are a little further apart than the limit allows, since calls arrive less regularly than they are sent."""


class Rate(BaseModel):
    """The row of one rate. Times are seconds since 1970: clocks that differ only make the rate less exact."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    limit: float
    """Calls that are admitted in a minute."""
    free_at: float
    """When the next turn comes."""
    until: float
    """When this is forgotten, unless somebody is refused again."""

    @property
    def interval(self) -> float:
        """Seconds between two turns."""
        return 60.0 / self.limit * _MARGIN


class NatsRates:
    """The port Rates of one replica."""

    def __init__(self, connection: Connection, publisher: Publisher, worker: str) -> None:
        self._stream = claims_stream(worker)
        self._prefix = f"$KV.{self._stream.removeprefix('KV_')}.rate"
        self._api = JetStreamApi(connection, patience=5.0)
        self._publisher = publisher
        self._known: dict[str, tuple[Rate | None, int]] = {}
        self._looked_at: dict[str, float] = {}
        self._writing = asyncio.Lock()

    async def turn(self, name: str, *, within: timedelta) -> timedelta:
        """See workers.ports.Rates. Raises also Unavailable."""
        if not await self._limited(name):
            return timedelta(0)
        async with self._writing:
            while True:
                rate, revision = self._known[name]
                now = time.time()
                if rate is None or rate.until <= now:
                    return timedelta(0)
                mine = max(now, rate.free_at)
                if mine - now > within.total_seconds():
                    raise QuotaExhausted(_far_away(name, rate), after=timedelta(seconds=mine - now), limit=rate.limit)
                taken = rate.model_copy(update={"free_at": mine + rate.interval})
                if await self._written(name, taken, revision):
                    return timedelta(seconds=mine - now)

    async def refused(self, name: str, failure: QuotaExhausted) -> None:
        """See workers.ports.Rates. Raises Unavailable."""
        async with self._writing:
            await self._look(name)
            while True:
                rate, revision = self._known[name]
                now = time.time()
                free_at = now + failure.after.total_seconds()
                if rate is not None and rate.until > now:
                    # What was handed out stays handed out: those turns come before ours.
                    free_at = max(rate.free_at, free_at)
                limit = failure.limit or (rate.limit if rate else DEFAULT_LIMIT)
                row = Rate(limit=limit, free_at=free_at, until=now + REMEMBERED.total_seconds())
                if await self._written(name, row, revision):
                    return

    async def _limited(self, name: str) -> bool:
        """Whether a limit is known; a replica that knows of none looks now and then."""
        rate, _ = self._known.get(name, (None, 0))
        if rate is not None and rate.until > time.time():
            return True
        if time.monotonic() - self._looked_at.get(name, -LOOK_SECONDS) >= LOOK_SECONDS:
            self._looked_at[name] = time.monotonic()
            await self._look(name)
        return self._known.get(name, (None, 0))[0] is not None

    async def _look(self, name: str) -> None:
        try:
            found = await self._api.request(
                f"STREAM.MSG.GET.{self._stream}", {"last_by_subj": f"{self._prefix}.{encode_key(name)}"}
            )
        except ApiError as error:
            if error.code != MESSAGE_NOT_FOUND:
                raise Unavailable(str(error)) from error
            self._known[name] = (None, 0)
            return
        message = found["message"]
        try:
            rate = Rate.model_validate_json(b64decode(message.get("data", "")))
        except ValidationError:
            # Not ours to repair, and no reason to stop: the next refusal writes over it.
            rate = None
        self._known[name] = (rate, message["seq"])

    async def _written(self, name: str, rate: Rate, revision: int) -> bool:
        """Write where `revision` is the last one; else read what somebody else wrote."""
        subject = f"{self._prefix}.{encode_key(name)}"
        body = rate.model_dump_json().encode()
        try:
            ack = await self._publisher.publish(
                subject,
                body,
                {TTL: f"{_KEPT_SECONDS}s"},
                message_id=digest_of("rate", subject, str(revision), body.decode()),
                expected_sequence=revision,
            )
        except WrongSequence:
            await self._look(name)
            return False
        self._known[name] = (rate, ack.sequence)
        return True


def _far_away(name: str, rate: Rate) -> str:
    at = datetime.fromtimestamp(rate.free_at, UTC).strftime("%H:%M:%S")
    return f"{name} is admitted {rate.limit:g} times a minute, and the next turn is at {at} UTC; going on then"
