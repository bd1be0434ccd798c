"""From Google's Pub/Sub emulator into JetStream, against a bare subscriber of Google's that only acknowledges.

Both sides take the same number of messages that wait already, one after another in every round. Each is measured from
its first message to its last: at the bridge by the times at which JetStream stored them. The emulator gives about
2,000 messages/s to one subscription, whoever asks; with several at once it is the sides that are compared. What each
side spends of its CPU on a message says the same on a machine that has other things to do.
"""

import asyncio
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import nats.errors
import psutil

from tests.bench.figures import Bar, Figure, median_of
from tests.bench.notifications import Notifications, notifications, start_bridge
from tests.bench.processes import ChildFailedError, answer_of, ended, last_words
from tests.bench.stage import empty_stage
from workers.bus.rooms import wiring
from workers.bus.topology.streams import EVENTS
from workers.bus.transport.connection import connect

NAME = "bridge"
BRIDGE, BARE = "sealane", "bare subscriber"
_PATIENCE = 180.0
_POLL = 0.05


class _Run(NamedTuple):
    """One side, measured once."""

    rate: float
    """Messages/s."""
    cpu_us: float
    """Microseconds of its CPU a message."""


async def measure(*, quick: bool, rounds: int = 3) -> list[Figure]:
    """Run both sides in turn, from one subscription and from three."""
    count = 4_000 if quick else 20_000
    figures = []
    with TemporaryDirectory(prefix="sealane-bench-") as place, notifications(Path(place)) as waiting:
        for several, bar in ((1, Bar("at least", 0.8)), (3, None)):
            runs: dict[str, list[_Run]] = {BRIDGE: [], BARE: []}
            for number in range(rounds):
                folder = Path(place) / f"{several}-{number}"
                runs[BRIDGE].append(await _bridge(waiting, several, count, folder))
                runs[BARE].append(await _bare(waiting, several, count))
            figures += _figures(runs, f", {several} subscriptions" if several > 1 else "", bar, messages=count)
    return figures


async def _stocked(waiting: Notifications, several: int, count: int) -> list[str]:
    subscriptions = waiting.subscriptions(several)
    for number, subscription in enumerate(subscriptions):
        await asyncio.to_thread(waiting.publish, subscription, range(number * count, (number + 1) * count))
    return subscriptions


async def _bare(waiting: Notifications, several: int, count: int) -> _Run:
    subscriptions = await _stocked(waiting, several, count)
    answer = await answer_of("tests.bench.sides.acking", waiting.address, several * count, *subscriptions)
    return _Run(answer["rate"], answer["cpu_us"])


async def _bridge(waiting: Notifications, several: int, count: int, folder: Path) -> _Run:
    """Measure the bridge. Raises ChildFailedError when it lost or doubled one, or left one unanswered."""
    subscriptions = await _stocked(waiting, several, count)
    log = folder.with_suffix(".log")
    async with empty_stage([wiring("bridge")], folder / "nats") as server:
        process = await start_bridge(waiting.address, server.url, subscriptions, log)
        try:
            found = await _carried(server.url, several * count, process)
        except TimeoutError:
            raise ChildFailedError(f"the bridge did not carry all: {last_words(log)}") from None
        finally:
            await ended(process)
    left = sum([await asyncio.to_thread(waiting.left, subscription) for subscription in subscriptions])
    if process.returncode or left:
        raise ChildFailedError(f"the bridge ended with {process.returncode}, {left} messages left: {last_words(log)}")
    return found


async def _carried(url: str, count: int, process: Process) -> _Run:
    """Wait until so many events are stored, and measure between the first and the last."""
    watched, before = psutil.Process(process.pid), 0.0
    admin = await connect(url, identity="provisioner", first_wait=30)
    js = admin.client.jetstream()
    try:
        async with asyncio.timeout(_PATIENCE):
            while (state := (await js.stream_info(EVENTS)).state).messages < count:
                if not state.messages:  # what its start has cost
                    before = sum(watched.cpu_times()[:2])
                await asyncio.sleep(_POLL)
        spent = sum(watched.cpu_times()[:2]) - before
        first, last = [await js.get_msg(EVENTS, seq) for seq in (state.first_seq, state.last_seq)]
    except nats.errors.Error as error:
        raise TimeoutError from error
    finally:
        await admin.close()
    if first.time is None or last.time is None or state.messages != count:
        raise ChildFailedError(f"{state.messages} events are stored of {count} messages")
    return _Run((count - 1) / (last.time - first.time).total_seconds(), spent / count * 1e6)


def _figures(runs: Mapping[str, list[_Run]], what: str, bar: Bar | None, **detail: Any) -> list[Figure]:
    ratios = [ours.rate / theirs.rate for ours, theirs in zip(runs[BRIDGE], runs[BARE], strict=True)]
    figures = []
    for side, found in runs.items():
        figures += [
            median_of(NAME, f"{side}{what}", [run.rate for run in found], "messages/s", **detail),
            median_of(NAME, f"{side}{what}: CPU", [run.cpu_us for run in found], "µs/message"),
        ]
    return [
        *figures,
        median_of(NAME, f"{BRIDGE} / {BARE}{what}", ratios, "times", bar),
    ]
