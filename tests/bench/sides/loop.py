"""The idiomatic nats-py loop: fetch 250, gather(validate, publish with PubAck, ack).

No heartbeats, no retry, no metrics, no dead letters.
"""

import asyncio
import sys

import nats
from nats.aio.msg import Msg

from schemas.images import ImageAttested, ImagePushed
from tests.bench.sides.measure import Stopwatch
from tests.bench.traffic import BATCH, WORKER, attested, plain_headers
from workers.bus.topology.streams import EVENTS


async def main(url: str, count: int) -> None:
    """Handle so many messages."""
    watch = Stopwatch()
    client = await nats.connect(url)
    js = client.jetstream()
    subscription = await js.pull_subscribe(ImagePushed.event_type, durable=WORKER, stream=EVENTS)

    async def handle(message: Msg) -> None:
        event = ImagePushed.model_validate_json(message.data)
        follow_up = attested(event)
        await js.publish(
            ImageAttested.event_type,
            follow_up.model_dump_json().encode(),
            headers=plain_headers(message.headers or {}, follow_up),
        )
        await message.ack()

    handled = 0
    while handled < count:
        messages = await subscription.fetch(BATCH, timeout=5)
        await asyncio.gather(*map(handle, messages))
        handled += len(messages)
    await client.flush()
    watch.stop(handled)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
