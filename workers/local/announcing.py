"""Announces what happens to images on the topic `gcr`, as Artifact Registry does.

Source: https://cloud.google.com/artifact-registry/docs/configure-notifications: a JSON object of `action` (INSERT or
DELETE), `digest` and `tag`, each as a whole reference without a scheme; in order here, which the cloud does not
promise. Nothing is announced while the topic is not there.
"""

import asyncio
import json
import logging
from base64 import b64encode
from collections.abc import Mapping

from workers.local.rest import GoogleRest, RestError

log = logging.getLogger(__name__)
_HOST = "pubsub.googleapis.com"
_AT_ONCE = 500


class Announcer:
    """Publishes notifications in the background. `await stop()` publishes what is still waiting."""

    def __init__(self, client: GoogleRest, topic: str) -> None:
        self._client = client
        self._topic = topic
        self._waiting: asyncio.Queue[Mapping[str, str] | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._work(), name="announce images")

    def announce(self, notification: Mapping[str, str]) -> None:
        """Take a notification, to be published soon."""
        self._waiting.put_nowait(notification)

    async def stop(self) -> None:
        """Publish what is waiting, and end."""
        self._waiting.put_nowait(None)
        await self._task

    async def _work(self) -> None:
        more = True
        while more:
            taken = [await self._waiting.get()]
            while not self._waiting.empty() and len(taken) < _AT_ONCE:
                taken.append(self._waiting.get_nowait())
            more = None not in taken
            messages = [_message(one) for one in taken if one is not None]
            try:
                if messages:
                    await asyncio.to_thread(
                        self._client.call, "POST", _HOST, f"v1/{self._topic}:publish", {"messages": messages}
                    )
            except (RestError, OSError) as error:
                log.warning("not announced on %s: %s", self._topic, error)


def _message(notification: Mapping[str, str]) -> dict[str, str]:
    return {"data": b64encode(json.dumps(dict(notification)).encode()).decode()}
