"""FastStream's PullSub, per message, set so that it loses nothing: nothing declared, no replies, ack after publish.

`NACK_ON_ERROR` because the default terminates a message on any exception; a publish timeout of 5 s because the
default of 0.5 s turns a slow moment of the server into a failure; no log lines; reconnects for ever.
"""

import asyncio
import sys

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub

from schemas.images import ImageAttested, ImagePushed
from tests.bench.sides.measure import Stopwatch
from tests.bench.traffic import BATCH, WORKER, attested, plain_headers
from workers.bus.topology.streams import EVENTS


async def main(url: str, count: int) -> None:
    """Handle so many messages."""
    watch = Stopwatch()
    broker = NatsBroker(url, logger=None, max_reconnect_attempts=-1)
    stream = JStream(EVENTS, declare=False)
    publisher = broker.publisher(ImageAttested.event_type, stream=stream, timeout=5)
    handled = 0
    done = asyncio.Event()

    @broker.subscriber(
        ImagePushed.event_type,
        stream=stream,
        durable=WORKER,
        pull_sub=PullSub(batch_size=BATCH, timeout=5),
        ack_policy=AckPolicy.NACK_ON_ERROR,
        no_reply=True,
    )
    async def handle(event: ImagePushed, message: NatsMessage) -> None:
        nonlocal handled
        follow_up = attested(event)
        await publisher.publish(follow_up, headers=plain_headers(message.headers, follow_up))
        handled += 1
        if handled == count:
            done.set()

    await broker.start()
    await done.wait()
    await broker.stop()
    watch.stop(handled)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
