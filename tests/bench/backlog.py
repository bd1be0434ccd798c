"""A fast publisher in a process of its own: `python -m tests.bench.backlog URL COUNT`."""

import asyncio
import json
import sys
import time

from schemas.images import ImagePushed
from tests.bench.traffic import envelope, pushed
from workers.bus.transport.connection import connect
from workers.bus.transport.publisher import Publisher

_IN_FLIGHT = 2000


async def main(url: str, count: int) -> None:
    """Publish the events ; return once all are stored."""
    connection = await connect(url, identity="bridge", first_wait=30)
    publisher = Publisher(connection)
    await publisher.start()

    async def publish(number: int) -> None:
        event = pushed(number)
        about = envelope(number, event)
        await publisher.publish(
            ImagePushed.event_type, event.model_dump_json().encode(), about.headers(), message_id=about.message_id
        )

    started = time.perf_counter()
    for start in range(0, count, _IN_FLIGHT):
        await asyncio.gather(*map(publish, range(start, min(count, start + _IN_FLIGHT))))
    print(json.dumps({"seconds": time.perf_counter() - started}))
    await publisher.close()
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
