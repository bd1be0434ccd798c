"""Our door as it serves in production: who calls is proven, what it brings is checked, and stored once.

`python -m tests.bench.sides.door NATS_URL FOLDER POLICY [--webhooks] [--sample]`: prints its port, serves until
SIGTERM; `--webhooks` takes deliveries of GitHub, `--sample` says at the end where the CPU time went.
"""

import argparse
import asyncio
import json
import signal
from pathlib import Path

from tests.bench.sampling import Sampler
from tests.gateway.webhooks.deliveries import SECRET
from workers.adapters.key_sets import fetch_key_set
from workers.bus.engine.collector import settle
from workers.bus.topology.identities import read_seed
from workers.bus.transport.connection import connect
from workers.gateway.principals import read_policy
from workers.gateway.server import Door
from workers.gateway.webhooks.keyring import Keyring


async def _secret(_: str) -> str:
    return SECRET


async def main(options: argparse.Namespace) -> None:
    """Serve."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    seed = read_seed(options.folder, "gateway")
    connection = await connect(options.url, identity="gateway", seed=seed, first_wait=30)
    github = Keyring(("env://WEBHOOK",) if options.webhooks else (), _secret)
    door = Door(connection, read_policy(str(options.policy)), fetch_key_set, github=github)
    settle()
    print(json.dumps({"port": await door.start(0)}), flush=True)
    sampler = Sampler()
    if options.sample:
        sampler.start()
    await stop.wait()
    if options.sample:
        print(sampler.stop(0), flush=True)
    await door.stop()
    await connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("policy", type=Path)
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--webhooks", action="store_true")
    asyncio.run(main(parser.parse_args()))
