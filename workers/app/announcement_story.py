"""The story of an image that nobody publishes an event for: Artifact Registry announces it on Pub/Sub."""

import asyncio
import json
from base64 import b64encode
from urllib.parse import urlsplit

from schemas.envelope import Envelope
from schemas.feeds import PubSubMessage, feed_source
from schemas.identity import follow_up_id, run_id
from schemas.images import ImagePushed
from schemas.progress import EventRef
from workers.app.pushing import push_image, pusher
from workers.app.stage import Ending, Stage
from workers.bus.topology.permissions import BRIDGE
from workers.failures import Unavailable
from workers.local.rest import GoogleRest, RestError
from workers.local.seed import seeded

_HOST = "pubsub.googleapis.com"


async def announced(stage: Stage) -> Ending:
    """Push an image, announce it on the topic `gcr` as Artifact Registry does, and follow it to its attestation."""
    reference = stage.reference("announced")
    digest = await push_image(stage.folder, reference, f"announced in play {stage.play}")
    repository = reference.rpartition(":")[0]
    notification = {"action": "INSERT", "digest": f"{repository}@{digest}", "tag": reference}
    names = seeded(stage.endpoints["project"])
    message_id = await _published(stage, names.topics[0], json.dumps(notification).encode())
    cause = _cause(names.subscriptions[0], message_id)
    run = await stage.followed(cause.run, _carried(cause, ImagePushed(image=reference, digest=digest)))
    good, said, evidence = await stage.proof(run, digest)
    return good, f"pushed with {pusher()}, announced on {names.topics[0]}; {said}", evidence | {"message": message_id}


async def _published(stage: Stage, topic: str, data: bytes) -> str:
    """Publish over REST, and return the id of the message."""
    client = GoogleRest(urlsplit(stage.endpoints["google_rest"]).port or 0, stage.folder.token())
    body = {"messages": [{"data": b64encode(data).decode()}]}
    try:
        _, answer = await asyncio.to_thread(client.call, "POST", _HOST, f"v1/{topic}:publish", body)
    except (RestError, OSError) as error:
        raise Unavailable(f"the local Pub/Sub took no message: {error}") from None
    return str(answer["messageIds"][0])


def _cause(subscription: str, message_id: str) -> Envelope:
    """Return the identity under which the bridge takes a message."""
    source = feed_source(subscription)
    return Envelope(message_id, source, PubSubMessage.event_type, run_id(source, message_id))


def _carried(cause: Envelope, event: ImagePushed) -> EventRef:
    """Return the event that the bridge must make of it."""
    event_id = follow_up_id(BRIDGE, cause.message_id, event.event_type, event.natural_key())
    return EventRef(type=event.event_type, source=f"/sealane/{BRIDGE}", id=event_id)
