"""A worker on a feed in a process of its own, to be killed: `python -m tests.bus.engine.feeding URL FILE COUNT`.

The feed delivers COUNT messages, less those whose ids are in FILE: there it writes down each acknowledgement, so that
what a killed process left unacknowledged is delivered again to the next one.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from schemas.feeds import PubSubMessage
from schemas.scans import ScanRequested
from tests.bus.lane import worker
from tests.fakes.feeds import FakeFeed, FakeMessage
from workers.bus.engine.engine import Engine, EngineOptions
from workers.bus.transport.connection import connect
from workers.ports import Feeds


async def ferry(message: PubSubMessage) -> ScanRequested:
    """Carry every message."""
    return ScanRequested(reason=message.message.data.decode())


WIRING = worker(ferry, carries=True, concurrency=64)


class LastingFeed(FakeFeed):
    """A feed whose acknowledgements outlive the process."""

    def __init__(self, file: Path, count: int) -> None:
        super().__init__(most=200)
        self._file = os.open(file, os.O_APPEND | os.O_CREAT | os.O_RDWR)
        done = set(file.read_text().split())
        for number in range(count):
            if str(number) not in done:
                self.publish(f"{number}".encode(), f"{number}")

    def ended(self, message: FakeMessage, *, acked: bool) -> None:
        """Note an acknowledgement for good."""
        super().ended(message, acked=acked)
        if acked:
            os.write(self._file, f"{message.message_id}\n".encode())


async def main(url: str, file: str, count: str) -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    feeds = Feeds([LastingFeed(Path(file), int(count))])
    engine = Engine(WIRING, lambda: connect(url, identity="ferry"), lambda *_: {}, EngineOptions(grace=10), feeds)
    await engine.run(stop)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
