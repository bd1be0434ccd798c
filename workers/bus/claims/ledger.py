"""What all replicas of the door remember together: short values by key, each forgotten after a while of its own.

One bucket for the tokens that were used (`jti.…`), the webhook deliveries that were seen (`delivery.…`), the rates of
principals (`rate.…`) and who signed out of the console (`signedout.…`). A key is a prefix and a hash: what it stands
for is not in it. Values are data of ours, never a secret. No limit markers: an expired key is free at once.
"""

import re
import secrets
from base64 import b64decode
from datetime import timedelta
from typing import NamedTuple

from schemas.identity import digest_of
from workers.bus.topology.streams import LEDGER
from workers.bus.transport.connection import Connection
from workers.bus.transport.headers import TTL
from workers.bus.transport.jetstream import MESSAGE_NOT_FOUND, ApiError, JetStreamApi
from workers.bus.transport.publisher import Publisher, WrongSequence
from workers.failures import Invalid, Unavailable

PATIENCE = 5.0
"""Seconds that one request to the bus may take."""
LONGEST_VALUE = 4096
"""Bytes of a value."""
_KEY = re.compile(r"[a-z]{1,32}\.[A-Za-z0-9_-]{8,128}")
_SUBJECT = f"$KV.{LEDGER.removeprefix('KV_')}."


class Row(NamedTuple):
    """What is written under a key; None and revision 0 when nothing is."""

    value: bytes | None
    revision: int


class Ledger:
    """The bucket, over one connection. `publisher` is started and closed by its owner."""

    def __init__(self, connection: Connection, publisher: Publisher) -> None:
        self._api = JetStreamApi(connection, patience=PATIENCE)
        self._publisher = publisher

    async def note(self, key: str, value: bytes, *, ttl: timedelta) -> bytes | None:
        """Write a value down unless the key is there, and return what was there; None when it is ours now.

        Whatever becomes of the connection meanwhile, of any number of callers one alone gets None. `ttl` counts in
        whole seconds, at least one. Raises Invalid for a bad key or a long value, Unavailable when the bus is away.
        """
        while True:
            if await self.replace(key, value, 0, ttl=ttl):
                return None
            if (found := await self.read(key)) is not None:
                return found

    async def read(self, key: str) -> bytes | None:
        """Return what is written under a key. Raises Invalid, Unavailable."""
        return (await self.look(key)).value

    async def look(self, key: str) -> Row:
        """Return what is written under a key, with its revision. Raises Invalid, Unavailable."""
        try:
            found = await self._api.request(f"STREAM.MSG.GET.{LEDGER}", {"last_by_subj": _subject(key)})
        except ApiError as error:
            if error.code == MESSAGE_NOT_FOUND:
                return Row(None, 0)
            raise Unavailable(str(error)) from error
        message = found["message"]
        return Row(b64decode(message.get("data", "")), message["seq"])

    async def replace(self, key: str, value: bytes, revision: int, *, ttl: timedelta) -> int | None:
        """Write where `revision` is the last one (0: nothing is there) and return the new one, None when it is not.

        Raises Invalid, Unavailable.
        """
        if len(value) > LONGEST_VALUE:
            raise Invalid(f"a value of the ledger has {len(value)} bytes: at most {LONGEST_VALUE} are kept")
        try:
            ack = await self._publisher.publish(
                _subject(key),
                value,
                {TTL: f"{max(1, round(ttl.total_seconds()))}s"},
                message_id=digest_of("ledger", key, secrets.token_hex(8)),
                expected_sequence=revision,
                timeout=PATIENCE,
            )
        except WrongSequence:
            return None
        return ack.sequence


def subjects_of(prefix: str) -> str:
    """Return the subject of all keys with a prefix."""
    return f"{_SUBJECT}{prefix}.*"


def _subject(key: str) -> str:
    if _KEY.fullmatch(key) is None:
        raise Invalid(f"{key!r} is no key of the ledger: a prefix, a dot and a hash")
    return _SUBJECT + key
