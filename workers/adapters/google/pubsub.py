"""Pub/Sub subscriptions as feeds: https://cloud.google.com/pubsub/docs/pull#streamingpull.

Google's client mends a broken stream by itself. What ends one for good (the subscription is not there, permission was
taken away) is said as the feed's problem, and the subscription is tried again with growing pauses, for ever.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

from workers.adapters.google.errors import Errand, failure
from workers.adapters.google.pubsub_connection import PubSubConnection
from workers.failures import Invalid, SealaneError
from workers.ports.feeds import FeedMessage

if TYPE_CHECKING:
    from workers.adapters.google.pubsub_pull import Pull

log = logging.getLogger(__name__)
MOST = 1000
MOST_BYTES = 64 << 20
LEASE = 30
_LOOK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what is waited for, in seconds."""

    first: float = 1.0
    """Before the first try after an end; each further one waits twice as long."""
    longest: float = 30.0
    proven: float = 3.0
    """A stream that lives so long pulls: the problem before it is over."""
    closing: float = 10.0
    """For the last acknowledgements."""


class PubSubFeed:
    """One subscription, `projects/P/subscriptions/S`, as the port Feed has it.

    It holds at most *most* messages of *most_bytes* in all, also over restarts of the stream, and leases each for
    *lease* seconds (10 to 600) again and again: so long stays away what a killed process held, or had not read yet.
    """

    def __init__(
        self,
        subscription: str,
        connection: PubSubConnection,
        *,
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
        lease: int = LEASE,
        patience: Patience | None = None,
    ) -> None:
        self._subscription = subscription
        self._connection = connection
        self._most = most
        self._most_bytes = most_bytes
        self._lease = lease
        self._patience = patience or Patience()
        self._errand = Errand(
            "Pub/Sub",
            "pull from",
            subscription,
            "pubsub.subscriptions.consume",
            "roles/pubsub.subscriber",
            "check the subscription's name, and that it is pulled and not pushed",
        )
        self._inspection = replace(
            self._errand, doing="look at", permission="pubsub.subscriptions.get", role="roles/pubsub.viewer"
        )
        self._pulling: asyncio.Task[None] | None = None
        self._pull: Pull | None = None
        self._ending: dict[Pull, asyncio.Task[None]] = {}
        self._freed = asyncio.Event()
        self._problem: str | None = None
        self._is_away = False

    @property
    def subscription(self) -> str:
        """Its resource name."""
        return self._subscription

    @property
    def problem(self) -> str | None:
        """Why nothing comes now."""
        if self._problem is None and self._is_away:
            return str(failure(self._errand, "UNAVAILABLE", "no connection can be made"))
        return self._problem

    async def look(self) -> str:
        """Ask how it stands. Raises Invalid when its topic is gone, or its messages are pushed to somebody else."""
        client = await self._connection.open()
        try:
            found = await asyncio.to_thread(
                client.google.get_subscription, subscription=self._subscription, retry=None, timeout=_LOOK_SECONDS
            )
        except Exception as error:  # noqa: BLE001 - Google's failures have no other base
            raise self._translated(error, self._inspection) from None
        finally:
            await client.close()
        if found.topic == "_deleted-topic_":
            raise Invalid(f"the topic of {self._subscription} was deleted, so nothing comes: make both anew")
        if found.push_config.push_endpoint:
            raise Invalid(f"{self._subscription} pushes its messages to somebody else: make one that is pulled")
        return f"carries {found.topic}"

    async def start(self, take: Callable[[FeedMessage], None]) -> None:
        """Begin to pull; `take` gets the messages. Raises RuntimeError when it pulls already."""
        if self._pulling is not None:
            raise RuntimeError(f"{self._subscription} is pulled already")
        self._pulling = asyncio.create_task(self._pull_on(take), name=f"pull {self._subscription}")

    async def stop(self) -> None:
        """Pull no more; the leases of what was handed over are renewed until it is answered."""
        task, self._pulling = self._pulling, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        pull, self._pull = self._pull, None
        if pull is not None:
            pull.stop()
            self._see_off(pull)
        self._problem, self._is_away = None, False

    async def close(self) -> None:
        """Send the last acknowledgements and end."""
        await self.stop()
        pulls = dict(self._ending)
        await asyncio.gather(*(pull.close(self._patience.closing) for pull in pulls))
        for task in pulls.values():
            task.cancel()
        await asyncio.gather(*pulls.values(), return_exceptions=True)

    async def _pull_on(self, take: Callable[[FeedMessage], None]) -> None:
        wait = self._patience.first
        while True:
            began = time.monotonic()
            trouble = await self._pull_once(take)
            if time.monotonic() - began > self._patience.longest:
                wait = self._patience.first
            if str(trouble) != self._problem:
                log.warning("%s", trouble)
            self._problem = str(trouble)
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - so that replicas do not come all at once
            wait = min(2 * wait, self._patience.longest)

    async def _pull_once(self, take: Callable[[FeedMessage], None]) -> SealaneError:
        """Pull until the stream ends for good, and return why."""
        try:
            pull = self._pull = await self._open(take)
        except SealaneError as trouble:
            return trouble
        except Exception as error:
            log.exception("%s could not be opened", self._subscription)
            return self._translated(error)
        await asyncio.wait([pull.ended], timeout=self._patience.proven)
        if not pull.ended.done():
            self._problem = None
        reason = await asyncio.shield(pull.ended)
        self._pull = None
        self._see_off(pull)
        return self._translated(reason)

    async def _open(self, take: Callable[[FeedMessage], None]) -> "Pull":
        """Open a stream for as many messages as are not held from earlier ones, at least half of what is allowed."""
        while (held := sum(pull.held for pull in self._ending)) > self._most // 2:
            self._freed.clear()
            await self._freed.wait()
        client = await self._connection.open(self._hear)
        room = import_module("workers.adapters.google.pubsub_pull")
        courier = room.Courier(take, self._freed.set)
        limits = room.limits(messages=max(1, self._most - held), size=self._most_bytes, lease=self._lease)
        try:
            pull: Pull = room.Pull(client, self._subscription, courier, limits)
        except BaseException:
            await client.close()
            raise
        return pull

    def _hear(self, is_reached: bool) -> None:  # noqa: FBT001 - the news itself
        self._is_away = not is_reached and self._pulling is not None

    def _see_off(self, pull: "Pull") -> None:
        """Remember a stream until it has ended and nothing of it is held."""
        task = asyncio.create_task(self._until_gone(pull), name=f"end {self._subscription}")
        self._ending[pull] = task
        task.add_done_callback(lambda _: self._ending.pop(pull))

    async def _until_gone(self, pull: "Pull") -> None:
        await asyncio.shield(pull.ended)
        while pull.held > 0:
            self._freed.clear()
            await self._freed.wait()
        await pull.close(self._patience.closing)

    def _translated(self, reason: BaseException | None, errand: Errand | None = None) -> SealaneError:
        status = getattr(getattr(reason, "grpc_status_code", None), "name", "UNKNOWN")
        said = getattr(reason, "message", None) or str(reason or "the stream ended")
        return failure(errand or self._errand, status, str(said), getattr(reason, "details", None) or ())
