"""`image.pushed` to `image.attested` on the local world: how long one takes, and how fast many go.

Times are the server's own: when the event was stored, and when its follow-up was. Against `sign-and-create` of gcloud,
one process per image, and against a sequential script on the same client libraries with the same calls.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from schemas.images import ImageAttested, ImagePushed
from tests.bench.figures import Bar, Figure, median_of
from tests.bench.processes import answer_of, ended, output_of
from tests.bench.world import LocalWorld, local_world
from workers.bus.doors.follow import follow, follow_progress, last_sequence
from workers.bus.topology.streams import EVENTS, PROGRESS

NAME = "attest"
_OUTSIDE = frozenset({"resolve digest", "read attestor and key", "look for attestations", "sign", "validate", "store"})
"""The steps that wait for the registry and for Google; all else, claims and bus included, is ours."""
_GCLOUD_IMAGES = 10
_PATIENCE = 120.0
_FAR = 0.02
_FAR_IMAGES = 50


async def measure(*, quick: bool, rounds: int = 3) -> list[Figure]:
    """Measure single images, then rounds of many."""
    many, single = (50, 40) if quick else (200, 200)
    ours, script, gcloud = [], [], []
    async with local_world() as world:
        with TemporaryDirectory(prefix="sealane-bench-") as place:
            process, _ = await world.start_worker(Path(place) / "worker.log")
            try:
                await attested(world, await world.push_images("warm", 1))
                figures = await _single(world, single)
                for number in range(rounds):
                    ours.append(await attested(world, await world.push_images(f"ours-{number}", many)))
                    script.append(await _scripted(world, await world.push_images(f"script-{number}", many)))
                    few = range(number, _GCLOUD_IMAGES, rounds)
                    gcloud.append(await _with_gcloud(world, await world.push_images(f"gcloud-{number}", len(few))))
                figures += await _far_away(world)
                resident = psutil.Process(process.pid).memory_info().rss / 1024**2
            finally:
                await ended(process)
    return [*figures, *_many(many, ours, script, gcloud), Figure(NAME, "RSS of the worker then", resident, "MiB")]


def _many(many: int, ours: list[float], script: list[float], gcloud: list[float]) -> list[Figure]:
    note = f"gcloud: {_GCLOUD_IMAGES} images were measured one by one, the rest is extrapolated"
    whole = [per_image * many for per_image in gcloud]
    return [
        median_of(NAME, f"{many} images, sealane", ours, "s"),
        median_of(NAME, f"{many} images, sequential script", script, "s"),
        median_of(NAME, f"{many} images, gcloud (extrapolated from {_GCLOUD_IMAGES})", whole, "s", note=note),
        median_of(
            NAME,
            "sealane / sequential script",
            [theirs / mine for mine, theirs in zip(ours, script, strict=True)],
            "times",
            Bar("at least", 2),
        ),
        median_of(
            NAME,
            "sealane / gcloud",
            [theirs / mine for mine, theirs in zip(ours, whole, strict=True)],
            "times",
            Bar("at least", 20),
            note=note,
        ),
    ]


async def _far_away(world: LocalWorld) -> list[Figure]:
    """Measure once more, with every call to Google as slow as over a network."""
    await world.google_is_away(_FAR)
    ours = await attested(world, await world.push_images("far", _FAR_IMAGES))
    script = await _scripted(world, await world.push_images("far-script", _FAR_IMAGES))
    await world.google_is_away(0.0)
    what = f"sealane / sequential script, Google {_FAR * 1000:.0f} ms away"
    return [Figure(NAME, what, script / ours, "times", detail={"images": _FAR_IMAGES, "ours": ours, "script": script})]


async def _single(world: LocalWorld, count: int) -> list[Figure]:
    """Publish one image after another, each when the one before is attested."""
    images = await world.push_images("single", count)
    heard = await last_sequence(world.connection, PROGRESS)
    took = [await attested(world, [image]) for image in images]
    shares: list[float] = []
    async for _, message in follow_progress(world.connection, worker=NAME, start=heard + 1, live=False):
        if message.kind == "result" and message.seconds:
            outside = sum(step.seconds or 0.0 for step in message.steps if step.name in _OUTSIDE)
            shares.append((took[len(shares)] - outside) / took[len(shares)])
    if len(shares) != count:
        raise AssertionError(f"{len(shares)} results for {count} images")
    detail = {"images": count, "waiting_is": sorted(_OUTSIDE)}
    milliseconds = sorted(seconds * 1000 for seconds in took)
    return [
        Figure(NAME, "pushed to attested, p50", statistics.median(milliseconds), "ms", detail=detail),
        Figure(NAME, "pushed to attested, p99", statistics.quantiles(milliseconds, n=100)[98], "ms", detail=detail),
        Figure(NAME, "share of it in our code and on the bus", statistics.median(shares) * 100, "%", detail=detail),
    ]


async def attested(world: LocalWorld, images: Sequence[tuple[str, str]], *, patience: float = _PATIENCE) -> float:
    """Publish all at once; return the seconds from the first event stored to the last follow-up stored."""
    start = await last_sequence(world.connection, EVENTS) + 1
    await asyncio.gather(*(world.publish(repository, event_id=digest) for repository, digest in images))
    waiting = {digest for _, digest in images}
    begun: list[datetime] = []
    async with asyncio.timeout(patience):
        async for stored in follow(world.connection, EVENTS, "image.*", start=start, announced_on=_TYPES):
            if stored.subject == ImagePushed.event_type:
                begun.append(stored.at)
                continue
            waiting.discard(json.loads(stored.body)["digest"])
            if not waiting:
                break
    return (stored.at - min(begun)).total_seconds()


_TYPES = (ImagePushed.event_type, ImageAttested.event_type)


async def _scripted(world: LocalWorld, images: Sequence[tuple[str, str]]) -> float:
    references = "\n".join(f"{repository}:1" for repository, _ in images)
    answer = await answer_of("tests.bench.sides.sequential", world.folder, text=references)
    return float(answer["seconds"])


async def _with_gcloud(world: LocalWorld, images: Sequence[tuple[str, str]]) -> float:
    """Attest some images with gcloud, one process each; return the seconds per image."""
    endpoints = world.endpoints
    started = time.perf_counter()
    for repository, digest in images:
        await output_of(
            *("gcloud", "beta", "container", "binauthz", "attestations", "sign-and-create"),
            f"--artifact-url={repository}@{digest}",
            f"--attestor={endpoints['attestor']}",
            f"--keyversion={endpoints['key']}",
            environment=world.shell(),
        )
    return (time.perf_counter() - started) / len(images)
