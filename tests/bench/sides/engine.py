"""Our engine, as it runs in production: heartbeats, metrics, retry and dead letters on.

`python -m tests.bench.sides.engine URL COUNT [--quiet | --claims] [--sample]`: `--quiet` publishes no
result, `--claims` does the work under a claim per event, `--sample` says where the CPU time goes.
"""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tests.bench.sampling import Sampler
from tests.bench.sides.measure import Stopwatch
from tests.bench.traffic import WORKER, attest, attest_once, wiring
from workers.bus.engine.collector import settle
from workers.bus.engine.engine import Engine, EngineOptions
from workers.bus.transport.connection import Connection, connect
from workers.bus.transport.publisher import Publisher
from workers.ports import Claims

LEASE = timedelta(seconds=20)


async def main(options: argparse.Namespace) -> None:
    """Handle so many messages."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    watch, sampler = Stopwatch(), Sampler()
    engine = Engine(
        wiring(attest_once if options.claims else attest),
        lambda: connect(options.url, identity=f"worker-{WORKER}"),
        _with_claims if options.claims else _nothing,
        EngineOptions(grace=5, progress=not options.quiet),
    )
    if options.sample:
        sampler.start()
    settle()
    task = asyncio.create_task(engine.run(stop))
    while (handled := handled_by(engine)) < options.count and not task.done():  # noqa: ASYNC110 - only metrics tell
        await asyncio.sleep(0.01)
    if task.done():
        await task
    await engine.outgoing.client.flush()
    watch.stop(handled)
    if options.sample:
        print(sampler.stop(handled))
    stop.set()
    await task


def handled_by(engine: Engine) -> int:
    """Return how many messages were done, as /metrics counts."""
    return engine.metrics.handled["done"]


def _nothing(_connection: Connection, _publisher: Publisher) -> Mapping[type, Any]:
    return {}


def _with_claims(connection: Connection, publisher: Publisher) -> Mapping[type, Any]:
    from workers.bus.claims.claims import NatsClaims  # noqa: PLC0415 - the sides without claims are not to pay for it

    return {Claims: NatsClaims(connection, publisher, WORKER, lease=LEASE, owner="bench")}


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    for name in ("quiet", "claims", "sample"):
        parser.add_argument(f"--{name}", action="store_true")
    asyncio.run(main(parser.parse_args(sys.argv[1:])))
